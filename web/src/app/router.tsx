import type { QueryClient } from "@tanstack/react-query";
import {
  createRootRouteWithContext,
  createRoute,
  createRouter,
  lazyRouteComponent,
  Outlet,
  redirect,
} from "@tanstack/react-router";
import { asProblem } from "@/api/problem";
import { filterOf, searchOf, type Filter } from "@/requests/filter";
import { sessionQuery } from "@/session/session";
import { Skeleton } from "@/ui/loading";
import { Failed, NotFound } from "./failed";
import { Shell } from "./shell";

interface Context {
  queries: QueryClient;
}

/** Which environment a page of a project is about; production unless told. */
function environmentOf(search: Record<string, unknown>): { env?: string } {
  return typeof search.env === "string" ? { env: search.env } : {};
}

const root = createRootRouteWithContext<Context>()({ component: Outlet, notFoundComponent: NotFound });

const login = createRoute({
  getParentRoute: () => root,
  path: "/login",
  validateSearch: (search: Record<string, unknown>): { next?: string } =>
    typeof search.next === "string" ? { next: search.next } : {},
  component: lazyRouteComponent(() => import("@/session/login-page")),
});

const inside = createRoute({
  getParentRoute: () => root,
  id: "inside",
  component: Shell,
  beforeLoad: async ({ context, location }) => {
    try {
      await context.queries.ensureQueryData(sessionQuery);
    } catch (error) {
      if (asProblem(error).status !== 401) throw error;
      throw redirect({ to: "/login", search: { next: location.href } });
    }
  },
});

const projects = createRoute({
  getParentRoute: () => inside,
  path: "/",
  component: lazyRouteComponent(() => import("@/projects/list-page")),
});
const newProject = createRoute({
  getParentRoute: () => inside,
  path: "/new",
  component: lazyRouteComponent(() => import("@/projects/new-page")),
});
const project = createRoute({
  getParentRoute: () => inside,
  path: "/projects/$project",
  component: lazyRouteComponent(() => import("@/projects/layout")),
});
const overview = createRoute({
  getParentRoute: () => project,
  path: "/",
  validateSearch: environmentOf,
  component: lazyRouteComponent(() => import("@/projects/overview-page")),
});
const deployments = createRoute({
  getParentRoute: () => project,
  path: "/deployments",
  component: lazyRouteComponent(() => import("@/deployments/list-page")),
});
const deployment = createRoute({
  getParentRoute: () => project,
  path: "/deployments/$deployment",
  component: lazyRouteComponent(() => import("@/deployments/page")),
});
const environments = createRoute({
  getParentRoute: () => project,
  path: "/environments",
  validateSearch: environmentOf,
  component: lazyRouteComponent(() => import("@/environments/page")),
});
const domains = createRoute({
  getParentRoute: () => project,
  path: "/domains",
  component: lazyRouteComponent(() => import("@/domains/page")),
});
const logs = createRoute({
  getParentRoute: () => project,
  path: "/logs",
  validateSearch: environmentOf,
  component: lazyRouteComponent(() => import("@/logs/page")),
});
const requests = createRoute({
  getParentRoute: () => project,
  path: "/requests",
  validateSearch: (search: Record<string, unknown>): { env?: string } & Partial<Filter> => ({
    ...environmentOf(search),
    ...searchOf(filterOf(search)),
  }),
  component: lazyRouteComponent(() => import("@/requests/page")),
});
const projectProtection = createRoute({
  getParentRoute: () => project,
  path: "/protection",
  component: lazyRouteComponent(() => import("@/protection/project-page")),
});
const projectSettings = createRoute({
  getParentRoute: () => project,
  path: "/settings",
  component: lazyRouteComponent(() => import("@/projects/settings-page")),
});
const cluster = createRoute({
  getParentRoute: () => inside,
  path: "/cluster",
  component: lazyRouteComponent(() => import("@/cluster/page")),
});
const settings = createRoute({
  getParentRoute: () => inside,
  path: "/settings",
  component: lazyRouteComponent(() => import("@/settings/layout")),
});
const general = createRoute({
  getParentRoute: () => settings,
  path: "/",
  component: lazyRouteComponent(() => import("@/settings/page")),
});
const certificates = createRoute({
  getParentRoute: () => settings,
  path: "/certificates",
  component: lazyRouteComponent(() => import("@/certificates/page")),
});
const dns = createRoute({
  getParentRoute: () => settings,
  path: "/dns",
  component: lazyRouteComponent(() => import("@/dns/page")),
});
const protection = createRoute({
  getParentRoute: () => settings,
  path: "/protection",
  component: lazyRouteComponent(() => import("@/protection/page")),
});
const headers = createRoute({
  getParentRoute: () => settings,
  path: "/headers",
  component: lazyRouteComponent(() => import("@/protection/headers-page")),
});
const users = createRoute({
  getParentRoute: () => settings,
  path: "/users",
  component: lazyRouteComponent(() => import("@/users/page")),
});
const apiKeys = createRoute({
  getParentRoute: () => settings,
  path: "/api-keys",
  component: lazyRouteComponent(() => import("@/api-keys/page")),
});
const audit = createRoute({
  getParentRoute: () => settings,
  path: "/audit",
  component: lazyRouteComponent(() => import("@/audit/page")),
});
const profile = createRoute({
  getParentRoute: () => settings,
  path: "/profile",
  component: lazyRouteComponent(() => import("@/session/profile-page")),
});

const tree = root.addChildren([
  login,
  inside.addChildren([
    projects,
    newProject,
    project.addChildren([
      overview,
      deployments,
      deployment,
      environments,
      domains,
      logs,
      requests,
      projectProtection,
      projectSettings,
    ]),
    cluster,
    settings.addChildren([general, certificates, dns, protection, headers, users, apiKeys, audit, profile]),
  ]),
]);

export function makeRouter(queries: QueryClient) {
  return createRouter({
    routeTree: tree,
    context: { queries },
    defaultPreload: "intent",
    defaultErrorComponent: Failed,
    defaultPendingComponent: Skeleton,
    defaultPendingMs: 400,
    scrollRestoration: true,
  });
}
