import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { ClipboardPaste, EyeOff, Pencil, Plus, Trash2 } from "lucide-react";
import { useState } from "react";
import type { Variable } from "@/api/types";
import { useMay } from "@/session/permission";
import { Ago } from "@/ui/ago";
import { Tag } from "@/ui/badge";
import { Button } from "@/ui/button";
import { Card } from "@/ui/card";
import { Confirm } from "@/ui/confirm";
import { Empty } from "@/ui/empty";
import { Listing } from "@/ui/listing";
import { Loaded } from "@/ui/loading";
import { Cell } from "@/ui/table";
import { PasteVariables } from "./paste-variables";
import { unsetVariable, variablesQuery } from "./queries";
import { VariableForm } from "./variable-form";

interface Place {
  project: string;
  environment: string;
}

type Asked = { what: "new" } | { what: "paste" } | { what: "change" | "remove"; variable: Variable };

/** The variables of an environment. A secret's value is written, and never shown again. */
export function Variables({ project, environment }: Place) {
  const query = useQuery(variablesQuery(project, environment));
  const may = useMay("write");
  const [asked, setAsked] = useState<Asked>();
  const close = () => setAsked(undefined);
  const place = { project, environment };
  const known = query.data ?? [];
  return (
    <Card
      about="The next deployment gets them; what runs now keeps those it started with."
      actions={
        may && (
          <>
            <Button onClick={() => setAsked({ what: "paste" })}>
              <ClipboardPaste aria-hidden /> Paste a .env
            </Button>
            <Button onClick={() => setAsked({ what: "new" })}>
              <Plus aria-hidden /> Add
            </Button>
          </>
        )
      }
    >
      <Loaded query={query}>
        {(variables) =>
          variables.length === 0 ? (
            <Empty title="No variables yet">
              <p>Paste the text of a .env file, or add them one by one.</p>
            </Empty>
          ) : (
            <Listing
              what="variables"
              columns={["Name", "Value", "Changed", ""]}
              items={variables}
              text={({ name, secret, value }) => `${name} ${secret ? "secret" : value}`}
              row={(variable) => (
                <tr key={variable.name}>
                  <Cell className="font-mono text-[0.8125rem]">{variable.name}</Cell>
                  <Cell className="max-w-96 font-mono text-[0.8125rem]">
                    <Value variable={variable} />
                  </Cell>
                  <Cell className="text-muted">
                    <Ago at={variable.updated_at} />
                  </Cell>
                  <Cell className="text-right whitespace-nowrap">
                    {may && (
                      <>
                        <Button
                          look="quiet"
                          aria-label={`Change ${variable.name}`}
                          onClick={() => setAsked({ what: "change", variable })}
                        >
                          <Pencil aria-hidden />
                        </Button>
                        <Button
                          look="quiet"
                          aria-label={`Remove ${variable.name}`}
                          onClick={() => setAsked({ what: "remove", variable })}
                        >
                          <Trash2 aria-hidden />
                        </Button>
                      </>
                    )}
                  </Cell>
                </tr>
              )}
            />
          )
        }
      </Loaded>
      {asked?.what === "new" && <VariableForm {...place} known={known} onClose={close} />}
      {asked?.what === "change" && (
        <VariableForm {...place} known={known} variable={asked.variable} onClose={close} />
      )}
      {asked?.what === "paste" && <PasteVariables {...place} known={known} onClose={close} />}
      {asked?.what === "remove" && <Remove {...place} name={asked.variable.name} onClose={close} />}
    </Card>
  );
}

function Value({ variable }: { variable: Variable }) {
  if (!variable.secret)
    return <span className="line-clamp-2 break-all whitespace-pre-wrap">{variable.value}</span>;
  return (
    <Tag>
      <EyeOff className="mr-1 inline size-3" aria-hidden />
      secret
    </Tag>
  );
}

function Remove({ project, environment, name, onClose }: Place & { name: string; onClose: () => void }) {
  const queries = useQueryClient();
  const call = useMutation({
    mutationFn: () => unsetVariable(project, environment, name),
    onSuccess: () => {
      void queries.invalidateQueries({ queryKey: ["variables"] });
      onClose();
    },
  });
  return (
    <Confirm
      title={`Remove ${name}?`}
      name={name}
      action="Remove the variable"
      danger
      busy={call.isPending}
      error={call.error}
      onConfirm={() => call.mutate()}
      onClose={onClose}
    >
      <p>The next deployment is without it. Its value is kept nowhere.</p>
    </Confirm>
  );
}
