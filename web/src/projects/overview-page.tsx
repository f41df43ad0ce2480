import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { ExternalLink } from "lucide-react";
import type { Environment } from "@/api/types";
import { DeployButton } from "@/deployments/deploy-button";
import { deploymentsQuery } from "@/deployments/queries";
import { DeploymentRow } from "@/deployments/row";
import { EnvironmentPicker } from "@/environments/picker";
import { replicasQuery } from "@/environments/queries";
import { Replicas } from "@/environments/replicas";
import { ScaleButton } from "@/environments/scale-button";
import { Badge } from "@/ui/badge";
import { buttonClasses } from "@/ui/button";
import { Card, CardBody } from "@/ui/card";
import { CopyButton, Line } from "@/ui/copy";
import { Empty } from "@/ui/empty";
import { Loaded } from "@/ui/loading";
import { Page } from "@/ui/page";
import { useEnvironment, useProject } from "./project";
import { standingOf } from "./standing";

const NEWEST = 5;

export default function OverviewPage() {
  const project = useProject();
  const { environment } = useEnvironment();
  return (
    <Page
      title="Overview"
      tab={project.name}
      actions={
        <>
          <EnvironmentPicker />
          <DeployButton environment={environment?.name} />
        </>
      }
    >
      {environment !== undefined && <Served environment={environment} disabled={project.disabled} />}
      <Newest project={project.name} environment={environment?.name} />
      {environment !== undefined && <Running project={project.name} environment={environment} />}
    </Page>
  );
}

function Served({ environment, disabled }: { environment: Environment; disabled: boolean }) {
  const { tone, text } = standingOf(environment, disabled);
  const { current, url, lacking } = environment;
  return (
    <Card>
      <CardBody className="space-y-3">
        <div className="flex flex-wrap items-center gap-x-4 gap-y-2">
          <Badge tone={tone}>{text}</Badge>
          {current ? (
            <>
              <a
                href={url}
                target="_blank"
                rel="noreferrer"
                className="min-w-0 truncate font-medium text-accent underline"
              >
                {url}
              </a>
              <CopyButton text={url} what="the address" />
              <a href={url} target="_blank" rel="noreferrer" className={`${buttonClasses()} ml-auto`}>
                <ExternalLink aria-hidden /> Open
              </a>
            </>
          ) : (
            <span className="text-muted">Once something is deployed, it is served at {url}</span>
          )}
        </div>
        {lacking && (
          <p className="text-warn">
            {lacking.message} <span className="text-muted">What to do: {lacking.hint}</span>
          </p>
        )}
      </CardBody>
    </Card>
  );
}

function Newest({ project, environment }: { project: string; environment: string | undefined }) {
  const query = useQuery(deploymentsQuery(project, environment, NEWEST));
  return (
    <Card
      title="Newest deployments"
      actions={
        <Link to="/projects/$project/deployments" params={{ project }} className={buttonClasses("quiet")}>
          All of them
        </Link>
      }
    >
      <Loaded query={query}>
        {(deployments) =>
          deployments.length === 0 ? (
            <Empty title="Nothing was deployed yet">
              <p>In the folder of the app:</p>
              <Line text={`temps deploy --project ${project}`} what="the line that deploys" />
            </Empty>
          ) : (
            <ul className="divide-y divide-line">
              {deployments.map((one) => (
                <DeploymentRow key={one.id} deployment={one} withEnvironment={false} />
              ))}
            </ul>
          )
        }
      </Loaded>
    </Card>
  );
}

function Running({ project, environment }: { project: string; environment: Environment }) {
  const query = useQuery(replicasQuery(project, environment.name));
  if (!environment.current) return null;
  return (
    <Card title="Replicas" actions={<ScaleButton project={project} environment={environment} />}>
      <Loaded query={query}>
        {(replicas) =>
          replicas.length === 0 ? (
            <CardBody>
              <p className="text-muted">A static site: every node serves its files, and no container runs.</p>
            </CardBody>
          ) : (
            <Replicas project={project} environment={environment.name} replicas={replicas} />
          )
        }
      </Loaded>
    </Card>
  );
}
