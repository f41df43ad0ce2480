import { useQuery } from "@tanstack/react-query";
import { Plus, ShieldCheck, TriangleAlert } from "lucide-react";
import { useState } from "react";
import type { Status } from "@/api/types";
import { useMay } from "@/session/permission";
import { Ago } from "@/ui/ago";
import { Badge } from "@/ui/badge";
import { Button } from "@/ui/button";
import { Card, CardBody } from "@/ui/card";
import { Fact, Facts } from "@/ui/facts";
import { Loaded } from "@/ui/loading";
import { Page } from "@/ui/page";
import { duration } from "@/ui/time";
import { AddNode } from "./add-node";
import { NodeTable } from "./node-table";
import { Placement } from "./placement";
import { statusQuery } from "./queries";

export default function ClusterPage() {
  const query = useQuery(statusQuery);
  const may = useMay("admin");
  const [adding, setAdding] = useState(false);
  return (
    <Page
      title="Cluster"
      actions={
        may && (
          <Button look="primary" onClick={() => setAdding(true)}>
            <Plus aria-hidden /> Add a node
          </Button>
        )
      }
    >
      <Loaded query={query}>{(status) => <Shown status={status} />}</Loaded>
      {adding && <AddNode onClose={() => setAdding(false)} />}
    </Page>
  );
}

function Shown({ status }: { status: Status }) {
  const leader = status.nodes.find(({ id }) => id === status.leader);
  const here = status.nodes.find(({ id }) => id === status.node);
  return (
    <>
      <Margin status={status} />
      <Card>
        <NodeTable status={status} />
      </Card>
      <Placement nodes={status.nodes} />
      <Failing status={status} />
      <Card title="As this node knows it">
        <CardBody>
          <Facts>
            <Fact name="Leader">{leader?.name ?? "none"}</Fact>
            <Fact name="Replicas">
              {status.replicas.healthy} of {status.replicas.wanted} healthy
            </Fact>
            <Fact name="Projects">{status.projects}</Fact>
            <Fact name="This node">
              {here?.name}, up for {duration(status.uptime_seconds * 1_000)}
            </Fact>
            <Fact name="Applied">
              entry {status.applied_index}, term {status.term}
            </Fact>
            <Fact name="Version">{status.version}</Fact>
          </Facts>
        </CardBody>
      </Card>
    </>
  );
}

/** What people want to know first: how much may go wrong before something is lost. */
function Margin({ status }: { status: Status }) {
  const safe = status.quorum && status.may_lose > 0;
  const Icon = safe ? ShieldCheck : TriangleAlert;
  return (
    <div className="flex items-start gap-4 rounded-lg border border-line bg-surface p-4">
      <Icon className={`mt-0.5 size-6 shrink-0 ${safe ? "text-good" : "text-warn"}`} aria-hidden />
      <div>
        <p className="text-base font-semibold">
          {status.quorum
            ? status.may_lose_text.split(". ")[0]?.replace(/\.?$/, ".")
            : "Nothing can be changed now."}
        </p>
        <p className="mt-0.5 text-muted">
          {status.quorum
            ? status.may_lose_text.split(". ").slice(1).join(". ") ||
              "Apps are served and changes are taken all the while."
            : status.may_lose_text}
        </p>
      </div>
    </div>
  );
}

function Failing({ status }: { status: Status }) {
  const { failing_certificates: certificates, failing_dns_providers: providers } = status;
  if (certificates.length + providers.length === 0) return null;
  return (
    <Card title="Needs somebody">
      <ul className="divide-y divide-line">
        {certificates.map(({ name, error, ends, brought }) => (
          <li key={name} className="space-y-1 px-4 py-3">
            <Badge tone="bad">{name}</Badge>
            <p>
              {error ??
                (brought ? "The certificate that was brought has no successor." : "It cannot be renewed.")}
            </p>
            {ends && (
              <p className="text-muted">
                The present certificate ends <Ago at={ends} />
              </p>
            )}
          </li>
        ))}
        {providers.map(({ name, error, since }) => (
          <li key={name} className="space-y-1 px-4 py-3">
            <Badge tone="bad">DNS provider {name}</Badge>
            <p>{error}</p>
            <p className="text-muted">
              since <Ago at={since} />
            </p>
          </li>
        ))}
      </ul>
    </Card>
  );
}
