import { useMutation } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { GitBranch, Search } from "lucide-react";
import { useState, type ChangeEvent } from "react";
import type { Detection } from "@/api/types";
import { deploy } from "@/deployments/queries";
import { detect } from "@/detections/detect";
import { Found } from "@/detections/found";
import { Looking } from "@/detections/looking";
import { Button } from "@/ui/button";
import { Card, CardBody } from "@/ui/card";
import { Field } from "@/ui/field";
import { ProblemNote } from "@/ui/problem-note";
import { useMakeProject } from "./make-project";
import { nameFrom } from "./names";

interface Repository {
  url: string;
  branch: string | null;
  directory: string | null;
}

interface Wanted extends Repository {
  name: string;
  /** The commit that was looked at. */
  revision: Detection["revision"];
}

export function FromGit() {
  const [url, setUrl] = useState("");
  const [name, setName] = useState<string>();
  const [branch, setBranch] = useState("");
  const [directory, setDirectory] = useState("");
  const navigate = useNavigate();
  const { make } = useMakeProject();
  const deployment = useMutation({
    mutationFn: async ({ name, revision, ...given }: Wanted) => {
      await make({ name, repository: { ...given, branch: given.branch ?? revision?.branch ?? null } });
      const source = { type: "git" as const, branch: revision?.branch, commit: revision?.commit };
      const made = await deploy(name, { source });
      return { project: name, deployment: String(made.number) };
    },
    onSuccess: (params) => navigate({ to: "/projects/$project/deployments/$deployment", params }),
  });
  const look = useMutation({
    mutationFn: (repository: Repository) => detect({ type: "git", ...repository }),
  });
  const repository = { url, branch: branch || null, directory: directory || null };
  const looked = look.isSuccess || look.isError;
  // What was found is not of another repository.
  const change = (set: (text: string) => void) => (event: ChangeEvent<HTMLInputElement>) => {
    set(event.target.value);
    look.reset();
    deployment.reset();
  };
  const called = name ?? (url === "" ? "" : nameFrom(url));
  return (
    <Card title="From Git" about="Any address that git can clone.">
      <CardBody>
        <form
          className="space-y-4"
          onSubmit={(event) => {
            event.preventDefault();
            if (looked)
              deployment.mutate({ name: called, revision: look.data?.revision ?? null, ...repository });
            else look.mutate(repository);
          }}
        >
          <Field
            label="Address of the repository"
            placeholder="https://git.example.com/team/shop.git"
            value={url}
            required
            onChange={change(setUrl)}
          />
          <Field label="Name" value={called} required onChange={(event) => setName(event.target.value)} />
          <details className="group">
            <summary className="cursor-pointer text-muted hover:text-ink">Branch and folder</summary>
            <div className="mt-3 grid gap-4 sm:grid-cols-2">
              <Field
                label="Branch"
                placeholder="the repository’s own"
                value={branch}
                onChange={change(setBranch)}
              />
              <Field
                label="Folder"
                placeholder="its root"
                value={directory}
                onChange={change(setDirectory)}
              />
            </div>
          </details>
          {look.isPending && <Looking what="Fetching it and looking at it…" />}
          {look.data && <Found detection={look.data} />}
          <ProblemNote error={deployment.error ?? look.error} />
          <div className="flex flex-wrap gap-2">
            {look.isSuccess ? (
              <Button type="submit" look="primary" busy={deployment.isPending}>
                <GitBranch aria-hidden /> Deploy
              </Button>
            ) : (
              <Button
                look="primary"
                type={look.isError ? "button" : "submit"}
                busy={look.isPending}
                onClick={look.isError ? () => look.mutate(repository) : undefined}
              >
                <Search aria-hidden /> {look.isError ? "Look again" : "See what will be built"}
              </Button>
            )}
            {look.isError && (
              <Button type="submit" busy={deployment.isPending}>
                Deploy it all the same
              </Button>
            )}
          </div>
        </form>
      </CardBody>
    </Card>
  );
}
