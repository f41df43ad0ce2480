import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { useChange } from "@/api/use-change";
import { sessionQuery } from "@/session/session";
import { Line } from "@/ui/copy";
import { Check, Field } from "@/ui/field";
import { FormDialog } from "@/ui/form-dialog";
import { ShownOnce } from "@/ui/once";
import { SelectField } from "@/ui/select-field";
import { createKey, permissionsQuery } from "./queries";

const LIVES = [
  { value: "7", text: "after 7 days" },
  { value: "30", text: "after 30 days" },
  { value: "90", text: "after 90 days" },
  { value: "365", text: "after a year" },
  { value: "", text: "never" },
] as const;

type Life = (typeof LIVES)[number]["value"];

/** Makes a key that permits no more than its maker may; it is shown once. */
export function CreateKey({ onClose }: { onClose: () => void }) {
  const [name, setName] = useState("");
  const [life, setLife] = useState<Life>("90");
  const [chosen, setChosen] = useState<readonly string[]>(["read", "deploy"]);
  const mine = useQuery(sessionQuery).data?.permissions ?? [];
  const known = useQuery(permissionsQuery).data ?? [];
  const granted = chosen.filter((permission) => mine.includes(permission));
  const call = useChange(
    () => createKey(name.trim(), [...granted], life === "" ? null : Number(life)),
    ["api-keys"],
  );
  if (call.data !== undefined)
    return (
      <ShownOnce title={`The key ${call.data.name}`} secret={call.data.key} what="the key" onClose={onClose}>
        <p>Programs send it with every request:</p>
        <Line
          text={`curl -H "Authorization: Bearer $TEMPS_API_KEY" ${window.location.origin}/api/projects`}
          what="the line that tries it"
        />
      </ShownOnce>
    );
  return (
    <FormDialog title="New API key" action="Make the key" call={call} onClose={onClose}>
      <Field
        label="Name"
        placeholder="CI of the shop"
        hint="What it is for, so that you know later what stops working without it."
        required
        autoFocus
        autoComplete="off"
        maxLength={100}
        value={name}
        onChange={(event) => setName(event.target.value)}
      />
      <fieldset className="space-y-2">
        <legend className="mb-1.5 font-medium">What it permits</legend>
        {known
          .filter((permission) => mine.includes(permission.name))
          .map((permission) => (
            <Check
              key={permission.name}
              label={permission.name}
              hint={permission.description}
              checked={granted.includes(permission.name)}
              onChange={(event) =>
                setChosen(
                  event.target.checked
                    ? [...granted, permission.name]
                    : granted.filter((one) => one !== permission.name),
                )
              }
            />
          ))}
      </fieldset>
      <SelectField label="It ends" value={life} options={LIVES} onChange={setLife} />
    </FormDialog>
  );
}
