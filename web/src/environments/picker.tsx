import { useEnvironment, useProject } from "@/projects/project";
import { Select } from "@/ui/field";

/** Chooses the environment, where there is more than one. */
export function EnvironmentPicker() {
  const { environments } = useProject();
  const { environment, choose } = useEnvironment();
  if (environments.length < 2 || environment === undefined) return null;
  return (
    <Select
      label="Environment"
      value={environment.name}
      options={environments.map(({ name }) => ({ value: name, text: name }))}
      onChange={choose}
    />
  );
}
