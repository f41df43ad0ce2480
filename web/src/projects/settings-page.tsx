import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { useState } from "react";
import { api, unwrap } from "@/api/client";
import type { Project } from "@/api/types";
import { useMay } from "@/session/permission";
import { Button } from "@/ui/button";
import { Card, CardBody } from "@/ui/card";
import { Confirm } from "@/ui/confirm";
import { Line } from "@/ui/copy";
import { Check } from "@/ui/field";
import { Page } from "@/ui/page";
import { ProblemNote } from "@/ui/problem-note";
import { useProject } from "./project";
import { RepositoryForm } from "./repository-form";

/** What people call the Git servers whose webhooks are understood. */
const GIT_SERVERS: Record<string, string> = { github: "GitHub", gitlab: "GitLab", gitea: "Gitea" };

export default function ProjectSettingsPage() {
  const project = useProject();
  const may = useMay("write");
  return (
    <Page title="Settings" tab={`Settings of ${project.name}`}>
      <RepositoryForm key={project.repository?.url} project={project} />
      <Card title="Deploy by pushing" about="A push to the node’s own Git server deploys what was pushed.">
        <CardBody>
          <Line
            text={`git remote add temps ${project.git_url} && git push temps HEAD:main`}
            what="the line that pushes"
          />
        </CardBody>
      </Card>
      <Card title="Webhooks" about="Let your Git server tell of pushes: enter the address of its kind there.">
        <CardBody className="space-y-3">
          {Object.entries(project.webhooks).map(([server, url]) => (
            <div key={server} className="grid items-center gap-2 sm:grid-cols-[6rem_1fr]">
              <span>{GIT_SERVERS[server] ?? server}</span>
              <Line text={url} what={`the address for ${GIT_SERVERS[server] ?? server}`} />
            </div>
          ))}
          {may && <WebhookSecret project={project.name} />}
        </CardBody>
      </Card>
      {may && <Switches project={project} />}
      {may && <Delete project={project} />}
    </Page>
  );
}

function WebhookSecret({ project }: { project: string }) {
  const call = useMutation({
    mutationFn: () =>
      unwrap(api.POST("/api/projects/{p}/webhook-secret", { params: { path: { p: project } } })),
  });
  const [asked, setAsked] = useState(false);
  return (
    <div className="space-y-3 border-t border-line pt-3">
      {call.data === undefined ? (
        <Button busy={call.isPending} onClick={() => setAsked(true)}>
          Make a new secret
        </Button>
      ) : (
        <>
          <p>The secret, shown this once. The one before it holds no longer.</p>
          <Line text={call.data.secret} what="the secret" />
        </>
      )}
      {asked && (
        <Confirm
          title="Make a new secret?"
          name={project}
          action="Make a new secret"
          danger
          busy={call.isPending}
          error={call.error}
          onConfirm={() => call.mutate(undefined, { onSuccess: () => setAsked(false) })}
          onClose={() => setAsked(false)}
        >
          <p>
            The one before it, if there is one, is lost: pushes that your Git server signs with it are
            refused.
          </p>
        </Confirm>
      )}
    </div>
  );
}

function Switches({ project }: { project: Project }) {
  const [asked, setAsked] = useState(false);
  const queries = useQueryClient();
  const call = useMutation({
    mutationFn: (body: { previews?: boolean; disabled?: boolean }) =>
      unwrap(api.PATCH("/api/projects/{p}", { params: { path: { p: project.name } }, body })),
    onSuccess: () => queries.invalidateQueries({ queryKey: ["projects"] }),
  });
  return (
    <Card title="Behaviour">
      <CardBody className="space-y-4">
        <Check
          label="A preview for every branch"
          hint="A push to another branch than production’s is deployed to an environment of its own."
          checked={project.previews}
          disabled={call.isPending}
          onChange={(event) => call.mutate({ previews: event.target.checked })}
        />
        <Check
          label="Disabled"
          hint="Whoever comes for its apps is told that they are switched off, and no new deployment is taken."
          checked={project.disabled}
          disabled={call.isPending}
          onChange={(event) => (event.target.checked ? setAsked(true) : call.mutate({ disabled: false }))}
        />
        {!asked && <ProblemNote error={call.error} />}
      </CardBody>
      {asked && (
        <Confirm
          title={`Disable ${project.name}?`}
          name={project.name}
          action="Disable the project"
          danger
          busy={call.isPending}
          error={call.error}
          onConfirm={() => call.mutate({ disabled: true }, { onSuccess: () => setAsked(false) })}
          onClose={() => setAsked(false)}
        >
          <p>Until it is switched on again, everybody is refused at:</p>
          <ul className="list-disc space-y-1 pl-5">
            {project.environments.map(({ id, name, url }) => (
              <li key={id}>
                {name}, {url}
              </li>
            ))}
          </ul>
        </Confirm>
      )}
    </Card>
  );
}

function Delete({ project }: { project: Project }) {
  const [asked, setAsked] = useState(false);
  const queries = useQueryClient();
  const navigate = useNavigate();
  const call = useMutation({
    mutationFn: () => unwrap(api.DELETE("/api/projects/{p}", { params: { path: { p: project.name } } })),
    onSuccess: async () => {
      await navigate({ to: "/" });
      queries.removeQueries({ queryKey: ["projects", project.name] });
      await queries.invalidateQueries({ queryKey: ["projects"] });
    },
  });
  return (
    <Card
      title="Delete the project"
      about="Its apps are served no more, and everything about it is gone for ever."
      actions={
        <Button look="danger" onClick={() => setAsked(true)}>
          Delete {project.name}
        </Button>
      }
    >
      {asked && (
        <Confirm
          title={`Delete ${project.name}?`}
          name={project.name}
          action="Delete the project"
          danger
          busy={call.isPending}
          error={call.error}
          onConfirm={() => call.mutate()}
          onClose={() => setAsked(false)}
        >
          <p>For ever gone will be:</p>
          <ul className="list-disc space-y-1 pl-5">
            {project.environments.map(({ id, name, url }) => (
              <li key={id}>
                {name}, served at {url}
              </li>
            ))}
            <li>every deployment, its log, and what it built</li>
            <li>every variable and secret</li>
            <li>its domains and their certificates</li>
          </ul>
        </Confirm>
      )}
    </Card>
  );
}
