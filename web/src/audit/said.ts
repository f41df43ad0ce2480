import type { AuditRecord, Project } from "@/api/types";

/** What was done, in the words that stand before what it was done to. */
const SAID: Record<string, string> = {
  "project.create": "created the project",
  "project.change": "changed the project",
  "project.delete": "deleted the project",
  "project.caller.allow": "let another project call",
  "project.caller.deny": "no longer lets call",
  "environment.create": "created the environment",
  "environment.delete": "deleted the environment",
  "environment.scale": "scaled",
  "variable.set": "set variables of",
  "variable.unset": "removed a variable of",
  "deployment.create": "deployed",
  "deployment.cancel": "cancelled the deployment",
  "deployment.rollback": "rolled back to",
  "image.push": "pushed the image",
  "image.delete": "deleted the image",
  "user.create": "added the user",
  "user.change": "changed the user",
  "user.delete": "removed the user",
  "apikey.create": "made the API key",
  "apikey.delete": "revoked the API key",
  "session.open": "logged in",
  "session.close": "logged out",
  "domain.create": "added the domain",
  "domain.change": "changed the domain",
  "domain.delete": "deleted the domain",
  "certificate.add": "brought the certificate",
  "certificate.delete": "deleted the certificate",
  "headers.set": "set the security headers of",
  "dns.provider.add": "added the DNS provider",
  "dns.provider.change": "changed the DNS provider",
  "dns.provider.delete": "removed the DNS provider",
  "guard.set": "changed what is let in to",
  "settings.change": "changed the settings",
  "node.token": "made a line to join by",
  "node.token.delete": "took back a line to join by",
  "node.join": "let a node join:",
  "node.drain": "drained node",
  "node.undrain": "took back into use node",
  "node.label": "labelled node",
  "node.upgrade": "upgraded node",
  "node.remove": "removed node",
};

/** Whose target says nothing that the words do not. */
const ALONE = new Set([
  "session.open",
  "session.close",
  "settings.change",
  "node.token",
  "node.token.delete",
]);

/** A change in words, and what it was done to; the action's own name where nobody has put it in words. */
export function said({ action, target }: Pick<AuditRecord, "action" | "target">, names: Names) {
  return { done: SAID[action] ?? action, to: ALONE.has(action) ? "" : named(target, names) };
}

/** What people call what ids stand for. */
export type Names = ReadonlyMap<string, string>;

const ID = /[a-z]+_[0-9a-z]{26}/g;

/** Whether a text has an id in it: of something that is gone. */
export function idIn(text: string): boolean {
  return text.search(ID) >= 0;
}

/** Ids in a target by the names of what is there still. */
function named(target: string, names: Names): string {
  if (target === "cluster") return "the cluster";
  return target.replace(ID, (id) => names.get(id) ?? id);
}

/** The names of projects, their environments, users and API keys. */
export function namesOf(
  projects: readonly Project[],
  users: readonly { id: string; email: string }[],
  keys: readonly { id: string; name: string }[],
): Names {
  return new Map([
    ...projects.flatMap((project) => [
      [project.id, project.name] as const,
      ...project.environments.map((one) => [one.id, `${project.name}/${one.name}`] as const),
    ]),
    ...users.map(({ id, email }) => [id, email] as const),
    ...keys.map(({ id, name }) => [id, name] as const),
  ]);
}

/** What actions are about: the word before the first dot. */
export function subject(action: string): string {
  return action.split(".")[0] ?? action;
}
