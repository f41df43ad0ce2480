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
import { deploy } from "./queries";
import { SendFolder } from "./send-folder";

/** Deploys the newest commit; without a repository, it takes a folder. */
export function DeployButton({ environment }: { environment?: string | undefined }) {
  const project = useProject();
  const [open, setOpen] = useState(false);
  const navigate = useNavigate();
  const target = environment ?? productionOf(project.environments)?.name ?? "production";
  const call = useMutation({
    mutationFn: () => deploy(project.name, { environment: target, source: { type: "git" } }),
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
        busy={call.isPending}
        onClick={() => (hasRepository ? call.mutate() : setOpen(true))}
      >
        <Rocket aria-hidden /> Deploy
      </Button>
      {open && (
        <Dialog title={`Deploy ${project.name}`} onClose={() => setOpen(false)}>
          <ProblemNote error={call.error} />
          {!hasRepository && <SendFolder project={project.name} environment={target} />}
          <p className="text-muted">Or from your terminal, in the folder of the app:</p>
          <Line text={`temps deploy --project ${project.name}`} what="the line that deploys" />
          <Line text={`git push ${project.git_url} HEAD:main`} what="the line that pushes" />
        </Dialog>
      )}
    </>
  );
}
