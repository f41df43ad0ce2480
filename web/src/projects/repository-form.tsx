import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { api, unwrap } from "@/api/client";
import type { Project } from "@/api/types";
import { useMay } from "@/session/permission";
import { Button } from "@/ui/button";
import { Card, CardBody } from "@/ui/card";
import { Check, Field, TextField } from "@/ui/field";
import { ProblemNote } from "@/ui/problem-note";

/** Where the project's source is. */
export function RepositoryForm({ project }: { project: Project }) {
  const { repository, name } = project;
  const may = useMay("write");
  const [url, setUrl] = useState(repository?.url ?? "");
  const [branch, setBranch] = useState(repository?.branch ?? "");
  const [directory, setDirectory] = useState(repository?.directory ?? "");
  const [key, setKey] = useState("");
  const [withoutKey, setWithoutKey] = useState(false);
  const hasKey = repository?.has_deploy_key === true;
  const losesKey = hasKey && url !== repository.url && key === "";
  // Left out, the one that is there stays; empty, it goes.
  const deployKey = withoutKey ? { deploy_key: "" } : key === "" ? {} : { deploy_key: key };
  const queries = useQueryClient();
  const call = useMutation({
    mutationFn: () => {
      const body = {
        repository:
          url === "" ? null : { url, branch: branch || null, directory: directory || null, ...deployKey },
      };
      return unwrap(api.PATCH("/api/projects/{p}", { params: { path: { p: name } }, body }));
    },
    onSuccess: () => {
      setKey("");
      setWithoutKey(false);
      return queries.invalidateQueries({ queryKey: ["projects"] });
    },
  });
  return (
    <Card title="Repository" about="What “Deploy” fetches, and what webhooks tell of.">
      <CardBody>
        <form
          className="space-y-4"
          onSubmit={(event) => {
            event.preventDefault();
            call.mutate();
          }}
        >
          <fieldset disabled={!may} className="grid gap-4 sm:grid-cols-3">
            <div className="sm:col-span-3">
              <Field
                label="Address"
                placeholder="https://git.example.com/team/shop.git"
                hint={
                  losesKey ? "The deploy key is that of the address before, and goes with it." : undefined
                }
                value={url}
                onChange={(event) => setUrl(event.target.value)}
              />
            </div>
            <Field
              label="Branch"
              placeholder="main"
              value={branch}
              onChange={(event) => setBranch(event.target.value)}
            />
            <Field
              label="Folder"
              placeholder="its root"
              value={directory}
              onChange={(event) => setDirectory(event.target.value)}
            />
            <div className="space-y-3 sm:col-span-3">
              <TextField
                label="Deploy key"
                className="font-mono"
                placeholder="-----BEGIN OPENSSH PRIVATE KEY-----"
                hint={
                  hasKey
                    ? "It is fetched with a key, which is not shown; what you paste replaces it."
                    : "The private SSH key of a repository that not everybody may read. It is kept sealed, and never shown."
                }
                spellCheck={false}
                autoComplete="off"
                disabled={withoutKey}
                value={key}
                onChange={(event) => setKey(event.target.value)}
              />
              {hasKey && (
                <Check
                  label="Without a key from now on"
                  checked={withoutKey}
                  onChange={(event) => setWithoutKey(event.target.checked)}
                />
              )}
            </div>
          </fieldset>
          <ProblemNote error={call.error} />
          {may && (
            <div className="flex items-center gap-3">
              <Button type="submit" look="primary" busy={call.isPending}>
                Save
              </Button>
              {call.isSuccess && <span role="status">Saved.</span>}
            </div>
          )}
        </form>
      </CardBody>
    </Card>
  );
}
