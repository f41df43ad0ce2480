import { useSuspenseQuery } from "@tanstack/react-query";
import { useNavigate, useParams, useSearch } from "@tanstack/react-router";
import type { Environment, Project } from "@/api/types";
import { projectQuery } from "./queries";
import { productionOf } from "./standing";

/** The project whose page this is. Its layout shows no page before it is known. */
export function useProject(): Project {
  const { project } = useParams({ from: "/inside/projects/$project" });
  return useSuspenseQuery(projectQuery(project)).data;
}

interface Chosen {
  environment: Environment | undefined;
  choose: (name: string) => void;
}

/** The environment that the page is about: the one named in its address, or production. */
export function useEnvironment(): Chosen {
  const { environments } = useProject();
  const { env } = useSearch({ strict: false });
  const navigate = useNavigate();
  return {
    environment: environments.find(({ name }) => name === env) ?? productionOf(environments),
    choose: (name) => void navigate({ to: ".", search: { env: name }, replace: true }),
  };
}
