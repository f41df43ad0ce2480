import { Page } from "@/ui/page";
import { Start } from "./start";

export default function NewPage() {
  return (
    <Page
      title="New project"
      about="What it is made of is found out by looking at it: no settings are needed."
    >
      <Start />
    </Page>
  );
}
