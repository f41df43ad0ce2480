import type { Project } from "@/api/types";
import { TABS } from "@/projects/tabs";
import { placesFor } from "@/settings/places";
import { terminalUrl } from "@/terminal/place";

/** Where a command leads, or what it does. */
export type Target =
  | { to: string; params?: { project: string } }
  | { opens: string }
  | { does: "theme"; theme: "light" | "dark" | "system" }
  | { does: "help" | "log-out" };

export interface Command {
  group: "Projects" | "Pages" | "To do";
  text: string;
  target: Target;
}

interface Known {
  projects: readonly Project[];
  permissions: readonly string[];
  /** The project whose page is shown. */
  here: string | undefined;
  /** The environment that it is about; production unless told. */
  environment?: string | undefined;
}

/** All that can be found, what is nearest first. */
export function commands({ projects, permissions, here, environment }: Known): Command[] {
  const page = (text: string, to: string): Command => ({ group: "Pages", text, target: { to } });
  const todo = (text: string, target: Target): Command => ({ group: "To do", text, target });
  const found: Command[] = here === undefined ? [] : pagesOf(here);
  if (here !== undefined && permissions.includes("exec"))
    found.push({
      group: "Pages",
      text: `${here} · Terminal`,
      target: { opens: terminalUrl({ project: here, environment }) },
    });
  for (const { name } of projects)
    found.push({
      group: "Projects",
      text: name,
      target: { to: "/projects/$project", params: { project: name } },
    });
  if (permissions.includes("write")) found.push(todo("New project", { to: "/new" }));
  found.push(page("Projects", "/"), page("Cluster", "/cluster"));
  for (const { places } of placesFor(permissions))
    for (const { to, text } of places)
      found.push(page(to === "/settings" ? "Settings" : `Settings · ${text}`, to));
  return [
    ...found,
    todo("Light theme", { does: "theme", theme: "light" }),
    todo("Dark theme", { does: "theme", theme: "dark" }),
    todo("Theme as the system", { does: "theme", theme: "system" }),
    todo("Keyboard shortcuts", { does: "help" }),
    todo("Log out", { does: "log-out" }),
  ];
}

function pagesOf(project: string): Command[] {
  return TABS.map(({ to, text }) => ({
    group: "Pages",
    text: `${project} · ${text}`,
    target: { to, params: { project } },
  }));
}
