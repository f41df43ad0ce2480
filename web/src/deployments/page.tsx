import { useParams } from "@tanstack/react-router";
import { ExternalLink } from "lucide-react";
import type { Deployment } from "@/api/types";
import { Badge } from "@/ui/badge";
import { buttonClasses } from "@/ui/button";
import { Ago } from "@/ui/ago";
import { Card, CardBody } from "@/ui/card";
import { CopyButton } from "@/ui/copy";
import { Fact, Facts } from "@/ui/facts";
import { Loaded } from "@/ui/loading";
import { Page } from "@/ui/page";
import { useNow } from "@/ui/now";
import { duration } from "@/ui/time";
import { NodeName } from "@/cluster/node-name";
import { Replicas } from "@/environments/replicas";
import { Actions } from "./actions";
import { BuildLog } from "./build-log";
import { FailureNote } from "./failure-note";
import { isUnderWay, phaseShown, revisionText, sourceText, wasBuilt } from "./phase";
import { StepList } from "./step-list";
import { buildSteps, stepsOf, tookInAll } from "./steps";
import { useBuildLog } from "./use-build-log";
import { useDeployment } from "./use-deployment";

export default function DeploymentPage() {
  const { project, deployment } = useParams({ from: "/inside/projects/$project/deployments/$deployment" });
  return (
    <Loaded query={useDeployment(project, deployment)}>
      {(found) => <Shown key={found.id} deployment={found} />}
    </Loaded>
  );
}

function Shown({ deployment }: { deployment: Deployment }) {
  const { tone, text } = phaseShown(deployment.phase);
  const underWay = isUnderWay(deployment.phase);
  return (
    <Page
      title={`Deployment #${deployment.number}`}
      tab={`#${deployment.number} ${text} · ${deployment.project_name}`}
      about={
        <span className="inline-flex flex-wrap items-center gap-x-3 gap-y-1">
          <Badge tone={tone}>{text}</Badge>
          <span className="truncate">{sourceText(deployment)}</span>
        </span>
      }
      actions={<Actions deployment={deployment} />}
    >
      {deployment.phase === "live" && <Address url={deployment.url} />}
      {deployment.failure && <FailureNote failure={deployment.failure} withLog={wasBuilt(deployment)} />}
      {deployment.reason && <p className="text-muted">It was {deployment.reason}.</p>}
      {underWay && deployment.queue && deployment.queue.ahead > 0 && (
        <p className="text-muted">Builds ahead of it: {deployment.queue.ahead}</p>
      )}
      <Progress deployment={deployment} />
      <About deployment={deployment} />
      {deployment.replicas.length > 0 && (
        <Card title="Replicas">
          <Replicas
            project={deployment.project_name}
            environment={deployment.environment_name}
            replicas={deployment.replicas}
          />
        </Card>
      )}
    </Page>
  );
}

/** Where the app is: what a deployment is for. */
function Address({ url }: { url: string }) {
  return (
    <div className="flex flex-wrap items-center gap-3 rounded-lg border border-good/40 bg-good/5 p-4">
      <span className="font-medium">Served at</span>
      <a
        href={url}
        target="_blank"
        rel="noreferrer"
        className="min-w-0 truncate font-medium text-accent underline"
      >
        {url}
      </a>
      <CopyButton text={url} what="the address" />
      <a href={url} target="_blank" rel="noreferrer" className={`${buttonClasses("primary")} ml-auto`}>
        <ExternalLink aria-hidden /> Open the app
      </a>
    </div>
  );
}

function Progress({ deployment }: { deployment: Deployment }) {
  const log = useBuildLog(deployment.project_name, String(deployment.number));
  const underWay = isUnderWay(deployment.phase);
  const now = useNow(underWay ? 200 : 60_000);
  const built = deployment.phase !== "queued" && deployment.phase !== "building";
  const steps = stepsOf(deployment, now);
  const parts = buildSteps(log.lines, built || log.over, now);
  return (
    <div className="grid items-start gap-4 lg:grid-cols-[20rem_1fr]">
      <Card
        title="Steps"
        actions={<span className="text-muted tabular-nums">{duration(tookInAll(deployment, now))}</span>}
      >
        <CardBody>
          <StepList steps={steps} parts={parts} />
        </CardBody>
      </Card>
      <BuildLog {...log} />
    </div>
  );
}

/** `1 processor`, `0.5 processors`. */
function cpus(millis: number): string {
  return millis === 1_000 ? "1 processor" : `${millis / 1_000} processors`;
}

function About({ deployment }: { deployment: Deployment }) {
  const { config, created_by: by } = deployment;
  return (
    <Card title="Details">
      <CardBody>
        <Facts>
          <Fact name="Environment">{deployment.environment_name}</Fact>
          <Fact name="Asked for">
            <Ago at={deployment.created_at} /> by {by.email ?? by.type}
          </Fact>
          {revisionText(deployment) !== "" && <Fact name="Commit">{revisionText(deployment)}</Fact>}
          {deployment.built_on != null && (
            <Fact name="Built on">
              <NodeName id={deployment.built_on} />
            </Fact>
          )}
          {config && <Fact name="Recognised as">{config.preset}</Fact>}
          {config && deployment.artifact?.type === "image" && <Fact name="Port">{config.port}</Fact>}
          {config && deployment.artifact?.type === "image" && (
            <Fact name="Each replica may use">
              {config.resources.memory_mib} MiB of memory, {cpus(config.resources.cpu_millis)}
            </Fact>
          )}
        </Facts>
      </CardBody>
    </Card>
  );
}
