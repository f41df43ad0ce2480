import { useQuery } from "@tanstack/react-query";
import { useMay } from "@/session/permission";
import { Button } from "@/ui/button";
import { Loaded } from "@/ui/loading";
import { Page } from "@/ui/page";
import { ProblemNote } from "@/ui/problem-note";
import { Addresses, Authority, Builds, Edge } from "./cards";
import { settingsQuery, useSettingsDraft, type Known } from "./queries";

export default function SettingsPage() {
  const query = useQuery(settingsQuery);
  return (
    <Page
      title="General"
      tab="Settings"
      about="Settings of the whole cluster, which hold from the moment that they are saved."
    >
      <Loaded query={query}>{(known) => <Form known={known} />}</Loaded>
    </Page>
  );
}

function Form({ known }: { known: Known }) {
  const { draft, setDraft, call } = useSettingsDraft(known);
  const may = useMay("admin");
  return (
    <form
      className="space-y-5"
      onSubmit={(event) => {
        event.preventDefault();
        call.mutate();
      }}
    >
      <fieldset disabled={!may} className="space-y-5">
        <Addresses draft={draft} onChange={setDraft} />
        <Authority draft={draft} onChange={setDraft} />
        <Builds draft={draft} onChange={setDraft} />
        <Edge draft={draft} onChange={setDraft} />
      </fieldset>
      <ProblemNote error={call.error} />
      {may ? (
        <div className="flex items-center gap-3">
          <Button type="submit" look="primary" busy={call.isPending}>
            Save
          </Button>
          {call.isSuccess && <span role="status">Saved.</span>}
        </div>
      ) : (
        <p className="text-muted">Only admins may change them.</p>
      )}
    </form>
  );
}
