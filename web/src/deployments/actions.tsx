import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { Ban, RotateCcw, RotateCw } from "lucide-react";
import { useState } from "react";
import type { Deployment } from "@/api/types";
import { useMay } from "@/session/permission";
import { Button } from "@/ui/button";
import { Confirm } from "@/ui/confirm";
import { canGoBackTo, isUnderWay } from "./phase";
import { cancel, deployAgain } from "./queries";
import { RollbackDialog } from "./rollback-dialog";

/** What may be done with a deployment. */
export function Actions({ deployment }: { deployment: Deployment }) {
  const may = useMay("deploy");
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
  return deployment.phase === "live" ? <Again deployment={deployment} /> : null;
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

function Again({ deployment }: { deployment: Deployment }) {
  const navigate = useNavigate();
  const [asked, setAsked] = useState(false);
  const { project_name: project, environment_name: environment, number } = deployment;
  const call = useMutation({
    mutationFn: () => deployAgain(project, environment, String(number)),
    onSuccess: (made) =>
      navigate({
        to: "/projects/$project/deployments/$deployment",
        params: { project, deployment: String(made.number) },
      }),
  });
  return (
    <>
      <Button onClick={() => setAsked(true)}>
        <RotateCw aria-hidden /> Deploy again
      </Button>
      {asked && (
        <Confirm
          title={`Deploy #${number} again?`}
          action="Deploy again"
          busy={call.isPending}
          error={call.error}
          onConfirm={() => call.mutate()}
          onClose={() => setAsked(false)}
        >
          <p>
            What #{number} built starts anew in {environment}, with the variables as they are now. Nothing is
            built again, and the app is served meanwhile.
          </p>
        </Confirm>
      )}
    </>
  );
}
