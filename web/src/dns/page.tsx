import { Page } from "@/ui/page";
import { Providers } from "./providers";
import { Zones } from "./zones";

export default function DnsPage() {
  return (
    <Page
      title="DNS"
      about="Who tells the world where the nodes are: a provider of yours, or the nodes themselves."
    >
      <Providers />
      <Zones />
    </Page>
  );
}
