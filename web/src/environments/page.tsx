import { useMutation, useQueryClient } from "@tanstack/react-query";
import { Plus, Trash2 } from "lucide-react";
import { useState } from "react";
import type { Environment } from "@/api/types";
import { useEnvironment, useProject } from "@/projects/project";
import { Latest } from "@/deployments/latest";
import { standingOf } from "@/projects/standing";
import { useMay } from "@/session/permission";
import { Badge, Tag } from "@/ui/badge";
import { Button } from "@/ui/button";
import { Card } from "@/ui/card";
import { Confirm } from "@/ui/confirm";
import { Dialog } from "@/ui/dialog";
import { Field } from "@/ui/field";
import { Page } from "@/ui/page";
import { ProblemNote } from "@/ui/problem-note";
import { Cell, Table } from "@/ui/table";
import { usePaged } from "@/ui/use-paged";
import { EnvironmentPicker } from "./picker";
import { createEnvironment, deleteEnvironment } from "./queries";
import { Variables } from "./variables";

const AT_ONCE = 20;

export default function EnvironmentsPage() {
  const project = useProject();
  const { environment } = useEnvironment();
  const may = useMay("write");
  const [asked, setAsked] = useState<"new" | Environment>();
  const { shown, search, turn } = usePaged({
    what: "environments",
    items: project.environments,
    text: ({ name, url }) => `${name} ${url}`,
    atOnce: AT_ONCE,
  });
  return (
    <Page
      title="Environments"
      tab={`Environments of ${project.name}`}
      actions={
        may && (
          <Button onClick={() => setAsked("new")}>
            <Plus aria-hidden /> New preview
          </Button>
        )
      }
    >
      {search}
      <Card>
        <Table
          label="Environments"
          columns={["Environment", "State", "Live", "Last deployment", "Address", ""]}
        >
          {shown.map((one) => (
            <Row
              key={one.id}
              environment={one}
              disabled={project.disabled}
              onDelete={may ? () => setAsked(one) : undefined}
            />
          ))}
        </Table>
      </Card>
      {turn}
      <div className="flex items-center justify-between gap-3 pt-2">
        <h2 className="text-base font-semibold">Variables of {environment?.name}</h2>
        <EnvironmentPicker />
      </div>
      {environment !== undefined && (
        <Variables key={environment.id} project={project.name} environment={environment.name} />
      )}
      {asked === "new" && <NewPreview project={project.name} onClose={() => setAsked(undefined)} />}
      {typeof asked === "object" && (
        <DeleteEnvironment project={project.name} environment={asked} onClose={() => setAsked(undefined)} />
      )}
    </Page>
  );
}

interface RowProps {
  environment: Environment;
  disabled: boolean;
  onDelete: (() => void) | undefined;
}

function Row({ environment, disabled, onDelete }: RowProps) {
  const { tone, text } = standingOf(environment, disabled);
  const { name, kind, current, latest, url } = environment;
  return (
    <tr>
      <Cell>
        <span className="font-medium">{name}</span> {kind.type === "preview" && <Tag>{kind.branch}</Tag>}
      </Cell>
      <Cell>
        <Badge tone={tone}>{text}</Badge>
      </Cell>
      <Cell>{current ? `#${current.number}` : "–"}</Cell>
      <Cell>{latest ? <Latest latest={latest} /> : "–"}</Cell>
      <Cell>
        <a href={url} target="_blank" rel="noreferrer" className="text-accent underline">
          {url.replace(/^https?:\/\//, "")}
        </a>
      </Cell>
      <Cell className="text-right">
        {kind.type === "preview" && onDelete !== undefined && (
          <Button look="quiet" aria-label={`Delete ${name}`} onClick={onDelete}>
            <Trash2 aria-hidden />
          </Button>
        )}
      </Cell>
    </tr>
  );
}

function NewPreview({ project, onClose }: { project: string; onClose: () => void }) {
  const [branch, setBranch] = useState("");
  const queries = useQueryClient();
  const call = useMutation({
    mutationFn: () => createEnvironment(project, branch),
    onSuccess: () => {
      void queries.invalidateQueries({ queryKey: ["projects"] });
      onClose();
    },
  });
  return (
    <Dialog title="New preview" onClose={onClose}>
      <form
        className="space-y-4"
        onSubmit={(event) => {
          event.preventDefault();
          call.mutate();
        }}
      >
        <Field
          label="Branch"
          hint="What is pushed to it is deployed to an environment of its own."
          required
          autoFocus
          value={branch}
          onChange={(event) => setBranch(event.target.value)}
        />
        <ProblemNote error={call.error} />
        <div className="flex justify-end">
          <Button type="submit" look="primary" busy={call.isPending}>
            Create
          </Button>
        </div>
      </form>
    </Dialog>
  );
}

interface DeleteProps {
  project: string;
  environment: Environment;
  onClose: () => void;
}

function DeleteEnvironment({ project, environment, onClose }: DeleteProps) {
  const queries = useQueryClient();
  const call = useMutation({
    mutationFn: () => deleteEnvironment(project, environment.name),
    onSuccess: () => {
      void queries.invalidateQueries({ queryKey: ["projects"] });
      onClose();
    },
  });
  return (
    <Confirm
      title={`Delete ${environment.name}?`}
      name={environment.name}
      action="Delete the environment"
      danger
      busy={call.isPending}
      error={call.error}
      onConfirm={() => call.mutate()}
      onClose={onClose}
    >
      <p>
        Its replicas stop, {environment.url} is served no more, and its deployments and variables are gone for
        ever.
      </p>
    </Confirm>
  );
}
