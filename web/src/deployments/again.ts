import type { Deployment, NewSource } from "@/api/types";

/**
 * What is deployed when somebody tries a deployment again: the same commit, folder or image. `repository` is the address of the
 * project's own, which is left out, as only the cluster knows its password.
 */
export function sourceAgain(
  { source, revision }: Pick<Deployment, "source" | "revision">,
  repository: string | undefined,
): NewSource {
  if (source.type !== "git") return source;
  const { url, branch, commit, directory } = source;
  const same = { type: "git" as const, branch, commit: revision?.commit ?? commit, directory };
  return url === repository ? same : { ...same, url };
}
