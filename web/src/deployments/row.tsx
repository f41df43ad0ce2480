import { Link } from "@tanstack/react-router";
import type { Deployment } from "@/api/types";
import { Ago } from "@/ui/ago";
import { Badge } from "@/ui/badge";
import { useNow } from "@/ui/now";
import { duration } from "@/ui/time";
import { isUnderWay, phaseShown, revisionText, sourceText } from "./phase";
import { tookInAll } from "./steps";

/** A deployment in a list; the whole row leads to it. */
export function DeploymentRow({
  deployment,
  withEnvironment,
}: {
  deployment: Deployment;
  withEnvironment: boolean;
}) {
  const { tone, text } = phaseShown(deployment.phase);
  const underWay = isUnderWay(deployment.phase);
  const revision = revisionText(deployment);
  return (
    <li className="relative grid grid-cols-[3.5rem_1fr_auto] items-center gap-x-4 gap-y-1 px-4 py-3 hover:bg-raised sm:grid-cols-[3.5rem_10rem_1fr_auto]">
      <Link
        to="/projects/$project/deployments/$deployment"
        params={{ project: deployment.project_name, deployment: String(deployment.number) }}
        className="font-medium tabular-nums -outline-offset-2 after:absolute after:inset-0"
      >
        #{deployment.number}
      </Link>
      <Badge tone={tone}>{text}</Badge>
      <div className="col-span-3 row-start-2 min-w-0 sm:col-span-1 sm:row-start-auto">
        <p className="truncate">{sourceText(deployment)}</p>
        <p className="truncate text-xs text-muted">
          {[
            withEnvironment && deployment.environment_name,
            revision,
            deployment.created_by.email ?? deployment.created_by.type,
          ]
            .filter(Boolean)
            .join(" · ")}
        </p>
      </div>
      <div className="text-right text-xs text-muted tabular-nums">
        <Ago at={deployment.created_at} />
        <p>{underWay ? <Running deployment={deployment} /> : duration(tookInAll(deployment, 0))}</p>
      </div>
    </li>
  );
}

function Running({ deployment }: { deployment: Deployment }) {
  return duration(tookInAll(deployment, useNow(500)));
}
