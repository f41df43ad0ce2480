import { useQuery } from "@tanstack/react-query";
import { Link, Outlet, useLocation, useParams } from "@tanstack/react-router";
import { useEffect, useRef } from "react";
import { Loaded } from "@/ui/loading";
import { projectQuery } from "./queries";
import { TABS } from "./tabs";

/** What is around every page of a project. */
export default function ProjectLayout() {
  const { project } = useParams({ from: "/inside/projects/$project" });
  const query = useQuery(projectQuery(project));
  const { pathname } = useLocation();
  const tabs = useRef<HTMLElement>(null);
  // Where the screen is narrow, the tab of a page may be out of sight.
  useEffect(() => {
    tabs.current
      ?.querySelector("[aria-current=page]")
      ?.scrollIntoView({ block: "nearest", inline: "nearest" });
  }, [pathname]);
  return (
    <div className="space-y-6">
      <div>
        <p className="flex items-center gap-2 text-muted">
          <Link to="/" className="hover:text-ink">
            Projects
          </Link>
          <span aria-hidden>/</span>
          <Link to="/projects/$project" params={{ project }} className="font-semibold text-ink">
            {project}
          </Link>
        </p>
        <nav ref={tabs} aria-label="Project" className="mt-3 flex gap-1 overflow-x-auto border-b border-line">
          {TABS.map(({ to, text }) => (
            <Link
              key={to}
              to={to}
              params={{ project }}
              activeOptions={{ exact: to === "/projects/$project", includeSearch: false }}
              className="-mb-px border-b-2 border-transparent px-3 py-2 whitespace-nowrap text-muted -outline-offset-2 hover:text-ink"
              activeProps={{ className: "!border-accent font-medium !text-ink", "aria-current": "page" }}
            >
              {text}
            </Link>
          ))}
        </nav>
      </div>
      <Loaded query={query}>{() => <Outlet />}</Loaded>
    </div>
  );
}
