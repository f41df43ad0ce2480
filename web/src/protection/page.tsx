import { Page } from "@/ui/page";
import { GuardForm } from "./guard-form";
import { CLUSTER } from "./scope";

export default function ProtectionPage() {
  return (
    <Page
      title="Protection"
      about="What is checked before a request reaches any app. Projects and environments may add to it."
    >
      <GuardForm scope={CLUSTER} />
    </Page>
  );
}
