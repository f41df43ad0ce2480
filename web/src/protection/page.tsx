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
import { Page } from "@/ui/page";
import { ProblemNote, sentence } from "@/ui/problem-note";
import { Addresses, Challenge, Countries, Password, Rates } from "./cards";
import { changeOf, draftOf, type Draft } from "./draft";
import { changeGuard, clearGuard, guardQuery } from "./queries";

export default function ProtectionPage() {
  const query = useQuery(guardQuery);
  const may = useMay("admin");
  const [clearing, setClearing] = useState(false);
  // How often everything was taken back: the form begins anew each time.
  const [cleared, setCleared] = useState(0);
  return (
    <Page
      title="Protection"
      about="What is checked before a request reaches any app. Projects and environments may add to it."
      actions={may && <Button onClick={() => setClearing(true)}>Take everything back</Button>}
    >
      <Loaded query={query}>{(guard) => <Form key={cleared} guard={guard} />}</Loaded>
      {clearing && <Clear onCleared={() => setCleared(cleared + 1)} onClose={() => setClearing(false)} />}
    </Page>
  );
}

function Form({ guard }: { guard: Guard }) {
  const [base, setBase] = useState(() => draftOf(guard));
  const [draft, setDraft] = useState(base);
  const [force, setForce] = useState(false);
  const may = useMay("admin");
  const call = useChange(
    () => changeGuard(changeOf(draft, base), force),
    ["guards"],
    (saved) => {
      setBase(draftOf(saved));
      setDraft(draftOf(saved));
    },
  );
  const change = (part: Partial<Draft>) => setDraft({ ...draft, ...part });
  const refused = call.isError && asProblem(call.error).code === "no_countries";
  return (
    <form
      className="space-y-5"
      onSubmit={(event) => {
        event.preventDefault();
        call.mutate();
      }}
    >
      {guard.warnings.map((warning) => (
        <p key={warning} className="rounded-md border border-line bg-raised px-3 py-2 text-warn">
          {sentence(warning)}
        </p>
      ))}
      <fieldset disabled={!may} className="space-y-5">
        <Challenge draft={draft} onChange={change} />
        <Rates draft={draft} onChange={change} />
        <Addresses draft={draft} onChange={change} />
        <Countries draft={draft} onChange={change} />
        <Password draft={draft} onChange={change} />
      </fieldset>
      <ProblemNote error={call.error} />
      {refused && (
        <Check
          label="Set it all the same"
          hint="Until this node knows countries, it lets in everybody."
          checked={force}
          onChange={(event) => setForce(event.target.checked)}
        />
      )}
      {may ? (
        <div className="flex items-center gap-3">
          <Button type="submit" look="primary" busy={call.isPending}>
            Save
          </Button>
          {call.isSuccess && <span role="status">Saved.</span>}
        </div>
      ) : (
        <p className="text-muted">Only admins may change it.</p>
      )}
    </form>
  );
}

function Clear({ onCleared, onClose }: { onCleared: () => void; onClose: () => void }) {
  const queries = useQueryClient();
  const call = useMutation({
    mutationFn: async () => {
      await clearGuard();
      await queries.fetchQuery({ ...guardQuery, staleTime: 0 });
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
        Every list, limit, challenge and the password that were set for the whole cluster are gone at once.
        What projects and environments have set stays.
      </p>
    </Confirm>
  );
}
