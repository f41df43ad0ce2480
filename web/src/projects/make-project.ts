import { useRef } from "react";
import { api, unwrap } from "@/api/client";

interface NewProject {
  name: string;
  repository?: { url: string; branch: string | null; directory: string | null };
}

/**
 * Makes a project once, however often what follows it fails and is tried again; a later time it is only given the repository that
 * was written then.
 */
export function useMakeProject() {
  const made = useRef<string>(undefined);
  const make = async (project: NewProject) => {
    const { name, repository } = project;
    if (made.current !== name) {
      await unwrap(api.POST("/api/projects", { body: project }));
      made.current = name;
    } else if (repository !== undefined) {
      const params = { path: { p: name } };
      await unwrap(api.PATCH("/api/projects/{p}", { params, body: { repository } }));
    }
  };
  return { make, made };
}
