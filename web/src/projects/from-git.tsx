import { useMutation } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { GitBranch } from "lucide-react";
import { useState } from "react";
import { api, unwrap } from "@/api/client";
import { Button } from "@/ui/button";
import { Card, CardBody } from "@/ui/card";
import { Field } from "@/ui/field";
import { ProblemNote } from "@/ui/problem-note";
import { nameFrom } from "./names";

interface Wanted {
  name: string;
  url: string;
  branch: string | null;
  directory: string | null;
}

async function deployFromGit({ name, ...repository }: Wanted) {
  await unwrap(api.POST("/api/projects", { body: { name, repository } }));
  const deployment = await unwrap(
    api.POST("/api/projects/{p}/deployments", {
      params: { path: { p: name } },
      body: { source: { type: "git" } },
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
  const called = name ?? (url === "" ? "" : nameFrom(url));
  return (
    <Card title="From Git" about="Any address that git can clone.">
      <CardBody>
        <form
          className="space-y-4"
          onSubmit={(event) => {
            event.preventDefault();
            deploy.mutate({ name: called, url, branch: branch || null, directory: directory || null });
          }}
        >
          <Field
            label="Address of the repository"
            placeholder="https://git.example.com/team/shop.git"
            value={url}
            required
            onChange={(event) => setUrl(event.target.value)}
          />
          <Field label="Name" value={called} required onChange={(event) => setName(event.target.value)} />
          <details className="group">
            <summary className="cursor-pointer text-muted hover:text-ink">Branch and folder</summary>
            <div className="mt-3 grid gap-4 sm:grid-cols-2">
              <Field
                label="Branch"
                placeholder="the repository’s own"
                value={branch}
                onChange={(event) => setBranch(event.target.value)}
              />
              <Field
                label="Folder"
                placeholder="its root"
                value={directory}
                onChange={(event) => setDirectory(event.target.value)}
              />
            </div>
          </details>
          <ProblemNote error={deploy.error} />
          <Button type="submit" look="primary" busy={deploy.isPending}>
            <GitBranch aria-hidden /> Deploy
          </Button>
        </form>
      </CardBody>
    </Card>
  );
}
