import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { useState } from "react";
import { api, changeHeaders, unwrap } from "@/api/client";
import { send } from "@/api/stream";
import { freeName } from "./names";
import { projectsQuery } from "./queries";
import { tarGz } from "./tar";
import type { TreeFile } from "./tree";

interface Wanted {
  /** The project's name. */
  name: string;
  files: TreeFile[] | Blob;
  /** Whether another name is taken where that one is somebody's. */
  anew?: boolean;
  /** Whether the project is there already. */
  existing?: boolean;
}

/** Makes a project of files, deploys it and shows how that goes. */
export function useDeployFiles() {
  const queries = useQueryClient();
  const navigate = useNavigate();
  const [progress, setProgress] = useState(0);
  const mutation = useMutation({
    mutationFn: async ({ name, files, anew = false, existing = false }: Wanted) => {
      const known = anew ? await queries.fetchQuery({ ...projectsQuery, staleTime: 0 }) : [];
      const project = anew ? freeName(name, new Set(known.map((one) => one.name))) : name;
      const archive = files instanceof Blob ? files : await tarGz(files);
      const media = files instanceof Blob ? "application/octet-stream" : "application/gzip";
      const headers = { ...changeHeaders(), "content-type": media };
      const { digest } = await send<{ digest: string }>("/api/uploads", archive, headers, setProgress);
      if (!existing) await unwrap(api.POST("/api/projects", { body: { name: project } }));
      const deployment = await unwrap(
        api.POST("/api/projects/{p}/deployments", {
          params: { path: { p: project } },
          body: { source: { type: "upload", digest } },
        }),
      );
      return { project, deployment: String(deployment.number) };
    },
    onSuccess: (params) => navigate({ to: "/projects/$project/deployments/$deployment", params }),
    onSettled: () => setProgress(0),
  });
  return { ...mutation, progress };
}
