import { Page } from "@/ui/page";
import { HeaderForm } from "./header-form";
import { CLUSTER } from "./scope";

export default function HeadersPage() {
  return (
    <Page
      title="Security headers"
      about="What is added to answers of apps that do not say it themselves. Projects and environments may have their own."
    >
      <HeaderForm scope={CLUSTER} />
    </Page>
  );
}
