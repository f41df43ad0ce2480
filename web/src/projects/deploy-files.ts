import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { changeHeaders } from "@/api/client";
import { send } from "@/api/stream";
import { deploy } from "@/deployments/queries";
import type { Files } from "./chosen";
import { freeName } from "./names";
import { useMakeProject } from "./make-project";
import { projectsQuery } from "./queries";
import { tarGz } from "./tar";

/** Sends files to the node, and gives the name by which it knows them. */
export async function sendFiles(files: Files, onProgress: (share: number) => void): Promise<string> {
  const archive = files instanceof Blob ? files : await tarGz(files);
  const media = files instanceof Blob ? "application/octet-stream" : "application/gzip";
  const headers = { ...changeHeaders(), "content-type": media };
  const { digest } = await send<{ digest: string }>("/api/uploads", archive, headers, onProgress);
  return digest;
}

interface Wanted {
  /** The project's name. */
  name: string;
  /** What is deployed; a text is what sending it gave. */
  files: Files | string;
  /** Whether another name is taken where that one is somebody's. */
  anew?: boolean;
}

/** Makes a project of files, deploys it and shows how that goes. */
export function useDeployFiles() {
  const queries = useQueryClient();
  const navigate = useNavigate();
  const { make, made } = useMakeProject();
  const fresh = async (name: string) => {
    const known = await queries.fetchQuery({ ...projectsQuery, staleTime: 0 });
    return freeName(name, new Set(known.map((one) => one.name)));
  };
  return useMutation({
    mutationFn: async ({ name, files, anew = false }: Wanted) => {
      const project = anew ? (made.current ?? (await fresh(name))) : name;
      const digest = typeof files === "string" ? files : await sendFiles(files, () => undefined);
      await make({ name: project });
      const deployment = await deploy(project, { source: { type: "upload", digest } });
      return { project, deployment: String(deployment.number) };
    },
    onSuccess: (params) => navigate({ to: "/projects/$project/deployments/$deployment", params }),
  });
}
