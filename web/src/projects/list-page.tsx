import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { ExternalLink, Plus } from "lucide-react";
import type { Project } from "@/api/types";
import { Latest } from "@/deployments/latest";
import { useMay } from "@/session/permission";
import { Ago } from "@/ui/ago";
import { Badge } from "@/ui/badge";
import { buttonClasses } from "@/ui/button";
import { Loaded } from "@/ui/loading";
import { Page } from "@/ui/page";
import { usePaged } from "@/ui/use-paged";
import { Start } from "./start";
import { projectsQuery } from "./queries";
import { productionOf, standingOf } from "./standing";

const AT_ONCE = 30;

export default function ProjectsPage() {
  const query = useQuery(projectsQuery);
  const may = useMay("write");
  const none = query.data?.length === 0;
  return (
    <Page
      title={none ? "Deploy your first app" : "Projects"}
      actions={
        !none &&
        may && (
          <Link to="/new" className={buttonClasses("primary")}>
            <Plus aria-hidden /> New project
          </Link>
        )
      }
    >
      <Loaded query={query}>
        {(projects) => (projects.length === 0 ? <Start /> : <List projects={projects} />)}
      </Loaded>
    </Page>
  );
}

function List({ projects }: { projects: Project[] }) {
  const { shown, search, turn } = usePaged({
    what: "projects",
    items: projects,
    text: ({ name }) => name,
    atOnce: AT_ONCE,
  });
  return (
    <div className="space-y-4">
      {search}
      <ul className="grid gap-4 sm:grid-cols-2 lg:grid-cols-3">
        {shown.map((project) => (
          <Item key={project.id} project={project} />
        ))}
      </ul>
      {shown.length === 0 && <p className="text-muted">No project has that in its name.</p>}
      {turn}
    </div>
  );
}

function Item({ project }: { project: Project }) {
  const production = productionOf(project.environments);
  const { tone, text } = standingOf(production, project.disabled);
  const others = project.environments.length - 1;
  const { current, latest } = production ?? {};
  return (
    <li className="relative flex flex-col gap-3 rounded-lg border border-line bg-surface p-4 hover:border-edge">
      <div className="flex items-start justify-between gap-3">
        <Link
          to="/projects/$project"
          params={{ project: project.name }}
          className="truncate font-semibold after:absolute after:inset-0 after:rounded-lg"
        >
          {project.name}
        </Link>
        <Badge tone={tone}>{text}</Badge>
      </div>
      {production && current ? (
        <a
          href={production.url}
          target="_blank"
          rel="noreferrer"
          className="relative inline-flex w-fit max-w-full items-center gap-1.5 text-muted hover:text-ink"
        >
          <span className="truncate">{production.url.replace(/^https?:\/\//, "")}</span>
          <ExternalLink className="size-3.5 shrink-0" aria-hidden />
        </a>
      ) : (
        <span className="text-muted">Nothing is served yet</span>
      )}
      <p className="mt-auto flex flex-wrap gap-x-2 text-xs text-muted">
        {others > 0 && <span>{others === 1 ? "1 preview" : `${others} previews`} ·</span>}
        {current && current.number !== latest?.number && <span>#{current.number} live ·</span>}
        {latest ? (
          <Latest latest={latest} />
        ) : (
          <span>
            created <Ago at={project.created_at} />
          </span>
        )}
      </p>
    </li>
  );
}
