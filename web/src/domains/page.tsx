import { useQuery } from "@tanstack/react-query";
import { Plus } from "lucide-react";
import { useState } from "react";
import { useProject } from "@/projects/project";
import { useMay } from "@/session/permission";
import { Button } from "@/ui/button";
import { Card } from "@/ui/card";
import { Empty } from "@/ui/empty";
import { Loaded } from "@/ui/loading";
import { Page } from "@/ui/page";
import { AddDomain } from "./add-domain";
import { DomainCard } from "./domain-card";
import { domainsQuery } from "./queries";

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
            <div className="space-y-4">
              {domains.map((domain) => (
                <DomainCard key={domain.name} domain={domain} />
              ))}
            </div>
          )
        }
      </Loaded>
      {adding && <AddDomain onClose={() => setAdding(false)} />}
    </Page>
  );
}
