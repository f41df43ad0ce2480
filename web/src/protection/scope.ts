import type { Permission } from "@/session/permission";

/** What rules are about: the whole cluster, a project, or one of its environments. */
export interface Scope {
  /** What tells it from all others, and what header policies know it by. */
  id: string;
  project?: string;
  environment?: string;
}

export const CLUSTER: Scope = { id: "cluster" };

/** Whether something wider holds where nothing is said. */
export function inherits({ project }: Scope): boolean {
  return project !== undefined;
}

/** What one has to be allowed to change its rules. */
export function needed(scope: Scope): Permission {
  return inherits(scope) ? "write" : "admin";
}

/** What it is called in a sentence. */
export function nameOf({ project, environment }: Scope): string {
  if (project === undefined) return "the whole cluster";
  return environment === undefined ? project : `${project}/${environment}`;
}

interface Known {
  id: string;
  name: string;
  environments: readonly { id: string; name: string }[];
}

/** A project, and each of its environments. */
export function scopesOf({ id, name, environments }: Known): Scope[] {
  const parts = environments.map((one) => ({ id: one.id, project: name, environment: one.name }));
  return [{ id, project: name }, ...parts];
}
