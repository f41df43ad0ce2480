import { useState } from "react";
import { useProject } from "@/projects/project";
import { Select } from "@/ui/field";
import { Page } from "@/ui/page";
import { GuardForm } from "./guard-form";
import { HeaderForm } from "./header-form";
import { scopesOf } from "./scope";

export default function ProjectProtectionPage() {
  const project = useProject();
  const scopes = scopesOf(project);
  const [id, choose] = useState(project.id);
  const scope = scopes.find((one) => one.id === id) ?? scopes[0];
  if (scope === undefined) return null;
  return (
    <Page
      title="Protection"
      tab={`Protection of ${project.name}`}
      about="What is checked before a request reaches the app. Lists add up with the cluster’s; of all else the nearest holds."
      actions={
        <Select
          label="Holds for"
          value={scope.id}
          options={scopes.map(({ id, environment }) => ({
            value: id,
            text: environment ?? "All environments",
          }))}
          onChange={choose}
        />
      }
    >
      <GuardForm key={scope.id} scope={scope} />
      <h2 className="pt-4 text-lg font-semibold tracking-tight">Security headers</h2>
      <HeaderForm key={`${scope.id} headers`} scope={scope} />
    </Page>
  );
}
