import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { Ban, RotateCcw, RotateCw } from "lucide-react";
import { useState, type ReactNode } from "react";
import type { Deployment, NewSource } from "@/api/types";
import { useProject } from "@/projects/project";
import { useMay } from "@/session/permission";
import { Button } from "@/ui/button";
import { Confirm } from "@/ui/confirm";
import { sourceAgain } from "./again";
import { canGoBackTo, isUnderWay } from "./phase";
import { cancel, deploy } from "./queries";
import { RollbackDialog } from "./rollback-dialog";

/** What may be done with a deployment. */
export function Actions({ deployment }: { deployment: Deployment }) {
  const may = useMay("deploy");
  const project = useProject();
  const [asked, setAsked] = useState(false);
  if (!may) return null;
  if (isUnderWay(deployment.phase)) return <Cancel deployment={deployment} />;
  if (canGoBackTo(deployment)) {
    return (
      <>
        <Button look="primary" onClick={() => setAsked(true)}>
          <RotateCcw aria-hidden /> Roll back to this
        </Button>
        {asked && <RollbackDialog to={deployment} onClose={() => setAsked(false)} />}
      </>
    );
  }
  const { number, environment_name: environment } = deployment;
  if (deployment.phase === "live") {
    const source = { type: "artifact" as const, of: String(number) };
    return (
      <Again deployment={deployment} source={source} action="Deploy again">
        What #{number} built starts anew in {environment}, with the variables as they are now. Nothing is
        built again, and the app is served meanwhile.
      </Again>
    );
  }
  return (
    <Again
      deployment={deployment}
      source={sourceAgain(deployment, project.repository?.url)}
      action="Try again"
    >
      What #{number} was made of is built once more, with the variables as they are now, and goes live in{" "}
      {environment} if all goes well. What is live now is served meanwhile.
    </Again>
  );
}

function Cancel({ deployment }: { deployment: Deployment }) {
  const [asked, setAsked] = useState(false);
  const queries = useQueryClient();
  const call = useMutation({
    mutationFn: () => cancel(deployment.project_name, String(deployment.number)),
    onSuccess: () => {
      setAsked(false);
      void queries.invalidateQueries({ queryKey: ["deployments"] });
    },
  });
  return (
    <>
      <Button onClick={() => setAsked(true)}>
        <Ban aria-hidden /> Cancel
      </Button>
      {asked && (
        <Confirm
          title={`Cancel deployment #${deployment.number}?`}
          action="Cancel the deployment"
          danger
          busy={call.isPending}
          error={call.error}
          onConfirm={() => call.mutate()}
          onClose={() => setAsked(false)}
        >
          <p>What it has built so far is lost. What is live now stays live.</p>
        </Confirm>
      )}
    </>
  );
}

interface AgainProps {
  deployment: Deployment;
  source: NewSource;
  action: string;
  /** What comes of it. */
  children: ReactNode;
}

function Again({ deployment, source, action, children }: AgainProps) {
  const navigate = useNavigate();
  const [asked, setAsked] = useState(false);
  const { project_name: project, environment_name: environment, number } = deployment;
  const call = useMutation({
    mutationFn: () => deploy(project, { environment, source }),
    onSuccess: (made) => {
      setAsked(false);
      return navigate({
        to: "/projects/$project/deployments/$deployment",
        params: { project, deployment: String(made.number) },
      });
    },
  });
  return (
    <>
      <Button onClick={() => setAsked(true)}>
        <RotateCw aria-hidden /> {action}
      </Button>
      {asked && (
        <Confirm
          title={`${action}: #${number}?`}
          action={action}
          busy={call.isPending}
          error={call.error}
          onConfirm={() => call.mutate()}
          onClose={() => setAsked(false)}
        >
          <p>{children}</p>
        </Confirm>
      )}
    </>
  );
}
