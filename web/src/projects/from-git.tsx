import { useMutation } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { GitBranch, Search } from "lucide-react";
import { useState, type ChangeEvent } from "react";
import { api, unwrap } from "@/api/client";
import type { Detection } from "@/api/types";
import { detect } from "@/detections/detect";
import { Found } from "@/detections/found";
import { Looking } from "@/detections/looking";
import { Button } from "@/ui/button";
import { Card, CardBody } from "@/ui/card";
import { Field } from "@/ui/field";
import { ProblemNote } from "@/ui/problem-note";
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

async function deployFromGit({ name, revision, ...given }: Wanted) {
  const repository = { ...given, branch: given.branch ?? revision?.branch ?? null };
  await unwrap(api.POST("/api/projects", { body: { name, repository } }));
  const deployment = await unwrap(
    api.POST("/api/projects/{p}/deployments", {
      params: { path: { p: name } },
      body: { source: { type: "git", branch: revision?.branch, commit: revision?.commit } },
    }),
  );
  return { project: name, deployment: String(deployment.number) };
}

export function FromGit() {
  const [url, setUrl] = useState("");
  const [name, setName] = useState<string>();
  const [branch, setBranch] = useState("");
  const [directory, setDirectory] = useState("");
  const navigate = useNavigate();
  const deploy = useMutation({
    mutationFn: deployFromGit,
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
    deploy.reset();
  };
  const called = name ?? (url === "" ? "" : nameFrom(url));
  return (
    <Card title="From Git" about="Any address that git can clone.">
      <CardBody>
        <form
          className="space-y-4"
          onSubmit={(event) => {
            event.preventDefault();
            if (looked) deploy.mutate({ name: called, revision: look.data?.revision ?? null, ...repository });
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
          <ProblemNote error={deploy.error ?? look.error} />
          <div className="flex flex-wrap gap-2">
            {look.isSuccess ? (
              <Button type="submit" look="primary" busy={deploy.isPending}>
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
              <Button type="submit" busy={deploy.isPending}>
                Deploy it all the same
              </Button>
            )}
          </div>
        </form>
      </CardBody>
    </Card>
  );
}
