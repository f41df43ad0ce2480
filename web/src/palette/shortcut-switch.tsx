import { Check } from "@/ui/field";
import { HELD } from "./keys";
import { setSingleKeys, useSingleKeys } from "./single-keys";

export function ShortcutSwitch() {
  return (
    <Check
      label="Shortcuts of a single key"
      hint={`They work without ${HELD}, while nothing is written. ${HELD} K works in any case.`}
      checked={useSingleKeys()}
      onChange={(event) => setSingleKeys(event.target.checked)}
    />
  );
}
