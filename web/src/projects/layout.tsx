import { useQuery } from "@tanstack/react-query";
import { Link, Outlet, useParams } from "@tanstack/react-router";
import { Loaded } from "@/ui/loading";
import { SideNav } from "@/ui/side-nav";
import { projectQuery } from "./queries";
import { GROUPS } from "./tabs";

/** What is around every page of a project. */
export default function ProjectLayout() {
  const { project } = useParams({ from: "/inside/projects/$project" });
  const query = useQuery(projectQuery(project));
  const groups = GROUPS.map(({ title, tabs }) => ({
    title,
    links: tabs.map(({ to, text }) => ({
      text,
      leads: {
        to,
        params: { project },
        activeOptions: { exact: to === "/projects/$project", includeSearch: false },
      },
    })),
  }));
  return (
    <div className="space-y-5">
      <p className="flex items-center gap-2 text-muted">
        <Link to="/" className="hover:text-ink">
          Projects
        </Link>
        <span aria-hidden>/</span>
        <Link to="/projects/$project" params={{ project }} className="font-semibold text-ink">
          {project}
        </Link>
      </p>
      <div className="gap-10 lg:grid lg:grid-cols-[11rem_minmax(0,1fr)]">
        <SideNav label="Project" groups={groups} />
        <div className="min-w-0">
          <Loaded query={query}>{() => <Outlet />}</Loaded>
        </div>
      </div>
    </div>
  );
}
