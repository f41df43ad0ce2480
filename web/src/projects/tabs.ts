/** The pages of a project. */
export const TABS = [
  { to: "/projects/$project", text: "Overview" },
  { to: "/projects/$project/deployments", text: "Deployments" },
  { to: "/projects/$project/environments", text: "Environments" },
  { to: "/projects/$project/domains", text: "Domains" },
  { to: "/projects/$project/logs", text: "Logs" },
  { to: "/projects/$project/protection", text: "Protection" },
  { to: "/projects/$project/settings", text: "Settings" },
] as const;
