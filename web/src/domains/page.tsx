import { useQuery } from "@tanstack/react-query";
import { Plus } from "lucide-react";
import { useState } from "react";
import type { Domain } from "@/api/types";
import { useProject } from "@/projects/project";
import { useMay } from "@/session/permission";
import { Button } from "@/ui/button";
import { Card } from "@/ui/card";
import { Empty } from "@/ui/empty";
import { Loaded } from "@/ui/loading";
import { Page } from "@/ui/page";
import { usePaged } from "@/ui/use-paged";
import { AddDomain } from "./add-domain";
import { DomainCard } from "./domain-card";
import { domainsQuery } from "./queries";

/** How many are shown at once: every node looks for each of them. */
const PAGE_DOMAINS = 10;

export default function DomainsPage() {
  const { name } = useProject();
  const query = useQuery(domainsQuery(name));
  const may = useMay("write");
  const [adding, setAdding] = useState(false);
  return (
    <Page
      title="Domains"
      tab={`Domains of ${name}`}
      about="Names of your own that lead to this project, with certificates that renew themselves."
      actions={
        may && (
          <Button look="primary" onClick={() => setAdding(true)}>
            <Plus aria-hidden /> Add a domain
          </Button>
        )
      }
    >
      <Loaded query={query}>
        {(domains) =>
          domains.length === 0 ? (
            <Card>
              <Empty title="No domains yet">
                <p>Add one, and you are told which record to create where the name is kept.</p>
              </Empty>
            </Card>
          ) : (
            <Cards domains={domains} />
          )
        }
      </Loaded>
      {adding && <AddDomain onClose={() => setAdding(false)} />}
    </Page>
  );
}

function Cards({ domains }: { domains: readonly Domain[] }) {
  const text = ({ name, environment, status }: Domain) => `${name} ${environment} ${status}`;
  const paged = usePaged({ what: "domains", items: domains, text, atOnce: PAGE_DOMAINS });
  return (
    <div className="space-y-4">
      {paged.search}
      {paged.shown.map((domain) => (
        <DomainCard key={domain.name} domain={domain} />
      ))}
      {paged.shown.length === 0 && <p className="text-muted">None of the domains has that.</p>}
      {paged.turn}
    </div>
  );
}
