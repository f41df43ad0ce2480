import { useMutation } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { Rocket } from "lucide-react";
import { useState } from "react";
import { useProject } from "@/projects/project";
import { productionOf } from "@/projects/standing";
import { useMay } from "@/session/permission";
import { Button } from "@/ui/button";
import { Line } from "@/ui/copy";
import { Dialog } from "@/ui/dialog";
import { ProblemNote } from "@/ui/problem-note";
import { deployNewest } from "./queries";

/** Deploys the newest commit; without a repository, it says how to send a folder. */
export function DeployButton({ environment }: { environment?: string | undefined }) {
  const project = useProject();
  const [open, setOpen] = useState(false);
  const navigate = useNavigate();
  const target = environment ?? productionOf(project.environments)?.name ?? "production";
  const deploy = useMutation({
    mutationFn: () => deployNewest(project.name, target),
    onError: () => setOpen(true),
    onSuccess: ({ number }) =>
      navigate({
        to: "/projects/$project/deployments/$deployment",
        params: { project: project.name, deployment: String(number) },
      }),
  });
  if (!useMay("deploy")) return null;
  const hasRepository = project.repository !== null && project.repository !== undefined;
  return (
    <>
      <Button
        look="primary"
        busy={deploy.isPending}
        onClick={() => (hasRepository ? deploy.mutate() : setOpen(true))}
      >
        <Rocket aria-hidden /> Deploy
      </Button>
      {open && (
        <Dialog title={`Deploy ${project.name}`} onClose={() => setOpen(false)}>
          <ProblemNote error={deploy.error} />
          {!hasRepository && <p>This project has no repository. Send a folder, or push to the node:</p>}
          <Line text={`temps deploy --project ${project.name}`} what="the line that deploys" />
          <Line text={`git push ${project.git_url} HEAD:main`} what="the line that pushes" />
        </Dialog>
      )}
    </>
  );
}
