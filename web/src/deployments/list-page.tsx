import { useInfiniteQuery } from "@tanstack/react-query";
import { useDeferredValue, useState } from "react";
import { useProject } from "@/projects/project";
import { Button } from "@/ui/button";
import { Card, CardBody } from "@/ui/card";
import { Line } from "@/ui/copy";
import { Empty } from "@/ui/empty";
import { Select } from "@/ui/field";
import { Loaded } from "@/ui/loading";
import { Page } from "@/ui/page";
import { ProblemNote } from "@/ui/problem-note";
import { Search } from "@/ui/search";
import { DeployButton } from "./deploy-button";
import { allDeploymentsQuery } from "./queries";
import { DeploymentRow } from "./row";

const ALL = "";

export default function DeploymentsPage() {
  const { name, environments } = useProject();
  const [environment, setEnvironment] = useState(ALL);
  const [wanted, setWanted] = useState("");
  const search = useDeferredValue(wanted.trim());
  const query = useInfiniteQuery(
    allDeploymentsQuery(name, environment === ALL ? undefined : environment, search),
  );
  const choices = [
    { value: ALL, text: "All environments" },
    ...environments.map((e) => ({ value: e.name, text: e.name })),
  ];
  return (
    <Page
      title="Deployments"
      tab={`Deployments of ${name}`}
      actions={
        <>
          {environments.length > 1 && (
            <Select label="Environment" value={environment} options={choices} onChange={setEnvironment} />
          )}
          <DeployButton environment={environment === ALL ? undefined : environment} />
        </>
      }
    >
      <Search label="Search deployments" className="max-w-xs" value={wanted} onChange={setWanted} />
      <Card>
        <Loaded query={query}>
          {({ pages: [newest, ...earlier] }) =>
            newest === undefined || newest.items.length === 0 ? (
              <None project={name} searched={search !== ""} />
            ) : (
              <ul className="divide-y divide-line">
                {[newest, ...earlier]
                  .flatMap(({ items }) => items)
                  .map((one) => (
                    <DeploymentRow key={one.id} deployment={one} withEnvironment={environments.length > 1} />
                  ))}
              </ul>
            )
          }
        </Loaded>
      </Card>
      {query.isFetchNextPageError && <ProblemNote error={query.error} />}
      {query.hasNextPage && (
        <Button busy={query.isFetchingNextPage} onClick={() => void query.fetchNextPage()}>
          Show earlier ones
        </Button>
      )}
    </Page>
  );
}

function None({ project, searched }: { project: string; searched: boolean }) {
  if (searched) {
    return (
      <CardBody>
        <p className="text-muted">
          No deployment has that in its number, phase, branch, commit, message or author.
        </p>
      </CardBody>
    );
  }
  return (
    <Empty title="Nothing was deployed yet">
      <Line text={`temps deploy --project ${project}`} what="the line that deploys" />
    </Empty>
  );
}
