import { useQuery } from "@tanstack/react-query";
import { Loaded } from "@/ui/loading";
import { Page } from "@/ui/page";
import { SaveForm } from "@/ui/save-form";
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
  return (
    <SaveForm call={call} needs="admin">
      <Addresses draft={draft} onChange={setDraft} />
      <Authority draft={draft} onChange={setDraft} />
      <Builds draft={draft} onChange={setDraft} />
      <Edge draft={draft} onChange={setDraft} />
    </SaveForm>
  );
}
