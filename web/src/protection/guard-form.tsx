import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { asProblem } from "@/api/problem";
import type { Guard } from "@/api/types";
import { useChange } from "@/api/use-change";
import { useMay } from "@/session/permission";
import { Button } from "@/ui/button";
import { Confirm } from "@/ui/confirm";
import { Check } from "@/ui/field";
import { Loaded } from "@/ui/loading";
import { sentence } from "@/ui/problem-note";
import { SaveForm } from "@/ui/save-form";
import { Addresses, Challenge, Countries, Password, Rates } from "./cards";
import { changeOf, draftOf, type Draft } from "./draft";
import { changeGuard, clearGuard, guardQuery } from "./queries";
import { inherits, nameOf, needed, type Scope } from "./scope";

/** What is checked before requests of a scope are forwarded. */
export function GuardForm({ scope }: { scope: Scope }) {
  const query = useQuery(guardQuery(scope));
  const may = useMay(needed(scope));
  const [clearing, setClearing] = useState(false);
  // How often everything was taken back: the form begins anew each time.
  const [cleared, setCleared] = useState(0);
  return (
    <>
      <Loaded query={query}>{(guard) => <Form key={cleared} scope={scope} guard={guard} />}</Loaded>
      {may && (
        <p>
          <Button onClick={() => setClearing(true)}>Take everything back</Button>
        </p>
      )}
      {clearing && (
        <Clear scope={scope} onCleared={() => setCleared(cleared + 1)} onClose={() => setClearing(false)} />
      )}
    </>
  );
}

interface FormProps {
  scope: Scope;
  guard: Guard;
}

function Form({ scope, guard }: FormProps) {
  const [base, setBase] = useState(() => draftOf(guard));
  const [draft, setDraft] = useState(base);
  const [force, setForce] = useState(false);
  const call = useChange(
    () => changeGuard(scope, changeOf(draft, base), force),
    ["guards"],
    (saved) => {
      setBase(draftOf(saved));
      setDraft(draftOf(saved));
    },
  );
  const change = (part: Partial<Draft>) => setDraft({ ...draft, ...part });
  const refused = call.isError && asProblem(call.error).code === "no_countries";
  return (
    <>
      {guard.warnings.map((warning) => (
        <p key={warning} className="rounded-md border border-line bg-raised px-3 py-2 text-warn">
          {sentence(warning)}
        </p>
      ))}
      <SaveForm
        call={call}
        needs={needed(scope)}
        more={
          refused && (
            <Check
              label="Set it all the same"
              hint="Until this node knows countries, it lets in everybody."
              checked={force}
              onChange={(event) => setForce(event.target.checked)}
            />
          )
        }
      >
        <Challenge draft={draft} inherits={inherits(scope)} onChange={change} />
        <Rates draft={draft} inherits={inherits(scope)} onChange={change} />
        <Addresses draft={draft} onChange={change} />
        <Countries draft={draft} onChange={change} />
        <Password draft={draft} inherits={inherits(scope)} onChange={change} />
      </SaveForm>
    </>
  );
}

interface ClearProps {
  scope: Scope;
  onCleared: () => void;
  onClose: () => void;
}

function Clear({ scope, onCleared, onClose }: ClearProps) {
  const queries = useQueryClient();
  const call = useMutation({
    mutationFn: async () => {
      await clearGuard(scope);
      await queries.fetchQuery({ ...guardQuery(scope), staleTime: 0 });
    },
    onSuccess: () => {
      onCleared();
      onClose();
    },
  });
  return (
    <Confirm
      title="Take everything back?"
      name="everything"
      action="Take it back"
      danger
      busy={call.isPending}
      error={call.error}
      onConfirm={() => call.mutate()}
      onClose={onClose}
    >
      <p>
        Every list, limit, challenge and the password that were set for {nameOf(scope)} are gone at once. What
        was set elsewhere stays.
      </p>
    </Confirm>
  );
}
