import { useMutation } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { useState } from "react";
import { Looking } from "@/detections/looking";
import { sendFiles } from "@/projects/deploy-files";
import { Drop } from "@/projects/drop";
import type { Chosen } from "@/projects/chosen";
import { ProblemNote } from "@/ui/problem-note";
import { deploy } from "./queries";

interface Props {
  project: string;
  environment: string;
}

/** Deploys a folder to a project that is there already. */
export function SendFolder({ project, environment }: Props) {
  const [progress, setProgress] = useState(0);
  const navigate = useNavigate();
  const call = useMutation({
    mutationFn: async ({ files }: Chosen) => {
      const digest = await sendFiles(files, setProgress);
      return deploy(project, { environment, source: { type: "upload", digest } });
    },
    onSettled: () => setProgress(0),
    onSuccess: ({ number }) =>
      navigate({
        to: "/projects/$project/deployments/$deployment",
        params: { project, deployment: String(number) },
      }),
  });
  return (
    <>
      {call.isPending ? (
        <Looking what={progress < 1 ? "Sending it…" : "Asking for the deployment…"} progress={progress} />
      ) : (
        <Drop onChosen={(chosen) => call.mutate(chosen)} />
      )}
      <ProblemNote error={call.error} />
    </>
  );
}
