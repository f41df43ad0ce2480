/** The pages of a project, in groups. What happens to an app and what it stores have room for more. */
export const GROUPS = [
  {
    title: "App",
    tabs: [
      { to: "/projects/$project", text: "Overview" },
      { to: "/projects/$project/deployments", text: "Deployments" },
      { to: "/projects/$project/environments", text: "Environments" },
      { to: "/projects/$project/domains", text: "Domains" },
    ],
  },
  {
    title: "What happens",
    tabs: [
      { to: "/projects/$project/logs", text: "Logs" },
      { to: "/projects/$project/requests", text: "Requests" },
    ],
  },
  {
    title: "Manage",
    tabs: [
      { to: "/projects/$project/protection", text: "Protection" },
      { to: "/projects/$project/settings", text: "Settings" },
    ],
  },
] as const;

/** All of them. */
export const TABS = GROUPS.flatMap(({ tabs }) => [...tabs]);
