import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import type { Deployment } from "@/api/types";
import { Ago } from "@/ui/ago";
import { Confirm } from "@/ui/confirm";
import { revisionText, sourceText } from "./phase";
import { deploymentsQuery, rollBack } from "./queries";

/** Says what a rollback changes, and does it. */
export function RollbackDialog({ to, onClose }: { to: Deployment; onClose: () => void }) {
  const { project_name: project, environment_name: environment } = to;
  const navigate = useNavigate();
  const queries = useQueryClient();
  const live = useQuery(deploymentsQuery(project, environment)).data?.find(({ phase }) => phase === "live");
  const call = useMutation({
    mutationFn: () => rollBack(project, String(to.number)),
    onSuccess: async ({ number }) => {
      onClose();
      await queries.invalidateQueries({ queryKey: ["deployments", project] });
      await navigate({
        to: "/projects/$project/deployments/$deployment",
        params: { project, deployment: String(number) },
      });
    },
  });
  return (
    <Confirm
      title={`Roll ${environment} back to #${to.number}?`}
      action={`Roll back to #${to.number}`}
      busy={call.isPending}
      error={call.error}
      onConfirm={() => call.mutate()}
      onClose={onClose}
    >
      <div className="grid gap-3 sm:grid-cols-2">
        <Version title="Live now" deployment={live} />
        <Version title="Afterwards" deployment={to} />
      </div>
      <p>
        {to.phase === "kept"
          ? "It is kept ready and takes over at once, with the variables it had."
          : "It is started from what it built, with the variables as they are now, and takes over once it is healthy."}
      </p>
      <p className="text-muted">Nothing is lost: you can go back to the present version in the same way.</p>
    </Confirm>
  );
}

function Version({ title, deployment }: { title: string; deployment: Deployment | undefined }) {
  return (
    <div className="rounded-md border border-line bg-raised p-3">
      <p className="text-xs text-muted">{title}</p>
      {deployment === undefined ? (
        <p>Nothing</p>
      ) : (
        <>
          <p className="font-medium">#{deployment.number}</p>
          <p className="break-words">{sourceText(deployment)}</p>
          <p className="text-xs text-muted">
            {revisionText(deployment)} <Ago at={deployment.created_at} />
          </p>
        </>
      )}
    </div>
  );
}
