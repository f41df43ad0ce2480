import { Card, CardBody } from "@/ui/card";
import { Check, Field, TextField } from "@/ui/field";
import { Choice } from "@/ui/choice";
import type { Draft } from "./draft";

interface Props {
  draft: Draft;
  onChange: (part: Partial<Draft>) => void;
}

interface InheritingProps extends Props {
  /** Whether something wider holds where nothing is said. */
  inherits: boolean;
}

const INHERITED = { value: "unset", text: "As the wider scope says", hint: "Nothing is set here." } as const;

const MODES = [
  { value: "off", text: "Off", hint: "Nobody is asked to solve a challenge." },
  {
    value: "auto",
    text: "Auto",
    hint: "Browsers that give a reason solve a challenge first; others notice nothing.",
  },
  {
    value: "on",
    text: "On",
    hint: "Every browser solves a challenge first. Programs that cannot are kept out.",
  },
] as const;

const TRIGGERS = [
  { name: "suspicious_pattern", label: "They ask for what scanners ask for" },
  { name: "rate_limit", label: "They ask more often than one client may" },
  { name: "first_request", label: "They were not seen here of late" },
] as const;

/** Whether browsers have to solve a challenge. */
export function Challenge({ draft, inherits, onChange }: InheritingProps) {
  const mode = draft.attackMode === "unset" && !inherits ? "off" : draft.attackMode;
  return (
    <Card title="Attack mode" about="A challenge that browsers solve by themselves within a second.">
      <CardBody className="space-y-4">
        <Choice
          label="Who solves it"
          value={mode}
          options={inherits ? [INHERITED, ...MODES] : MODES}
          onChange={(attackMode) => onChange({ attackMode })}
        />
        {mode === "auto" && (
          <fieldset className="space-y-2 pl-1">
            <legend className="mb-1.5 font-medium">Reasons</legend>
            {TRIGGERS.map(({ name, label }) => (
              <Check
                key={name}
                label={label}
                checked={draft.triggers.includes(name)}
                onChange={(event) =>
                  onChange({
                    triggers: event.target.checked
                      ? [...draft.triggers, name]
                      : draft.triggers.filter((one) => one !== name),
                  })
                }
              />
            ))}
          </fieldset>
        )}
      </CardBody>
    </Card>
  );
}

export function Rates({ draft, inherits, onChange }: InheritingProps) {
  const empty = inherits ? "Empty for what the wider scope says, off for no limit." : "Empty for no limit.";
  return (
    <Card title="Rate limits" about={`Who asks more often is told to wait, with 429. ${empty}`}>
      <CardBody className="grid gap-4 sm:grid-cols-2">
        <Field
          label="One client"
          placeholder="100/1m"
          hint="Requests in a time; 1000/1h,burst=50 lets 50 come at once."
          spellCheck={false}
          value={draft.ratePerClient}
          onChange={(event) => onChange({ ratePerClient: event.target.value })}
        />
        <Field
          label="All clients together"
          placeholder="5000/1m"
          hint="Each project is counted for itself."
          spellCheck={false}
          value={draft.rateInAll}
          onChange={(event) => onChange({ rateInAll: event.target.value })}
        />
      </CardBody>
    </Card>
  );
}

export function Addresses({ draft, onChange }: Props) {
  return (
    <Card title="Networks" about="One in a line, such as 203.0.113.0/24 or 2001:db8::/32.">
      <CardBody className="grid gap-4 sm:grid-cols-2">
        <TextField
          label="Kept out"
          placeholder="203.0.113.0/24"
          spellCheck={false}
          value={draft.deny}
          onChange={(event) => onChange({ deny: event.target.value })}
        />
        <TextField
          label="Let in alone"
          placeholder="everybody"
          hint="Where somebody is listed, everybody else is kept out."
          spellCheck={false}
          value={draft.allow}
          onChange={(event) => onChange({ allow: event.target.value })}
        />
      </CardBody>
    </Card>
  );
}

export function Countries({ draft, onChange }: Props) {
  return (
    <Card
      title="Countries"
      about="By their two letters. Nodes know countries where they were started with --geoip FILE."
    >
      <CardBody className="grid gap-4 sm:grid-cols-2">
        <Field
          label="Countries kept out"
          placeholder="KP"
          spellCheck={false}
          value={draft.denyCountries}
          onChange={(event) => onChange({ denyCountries: event.target.value })}
        />
        <Field
          label="Countries let in alone"
          placeholder="all"
          spellCheck={false}
          value={draft.allowCountries}
          onChange={(event) => onChange({ allowCountries: event.target.value })}
        />
      </CardBody>
    </Card>
  );
}

const PASSWORDS = [
  { value: "open", text: "None", hint: "Visitors need not know one, whatever the wider scope says." },
  { value: "asked", text: "Ask for one", hint: "Nobody sees an app without it." },
] as const;

/** A password that visitors have to know. */
export function Password({ draft, inherits, onChange }: InheritingProps) {
  const asked = draft.password === "asked";
  return (
    <Card
      title="Password"
      about="Nobody sees an app without it. What a project or an environment says holds before the cluster’s."
    >
      <CardBody className="space-y-4">
        {inherits ? (
          <Choice
            label="Whether visitors are asked"
            value={draft.password}
            options={[INHERITED, ...PASSWORDS]}
            onChange={(password) => onChange({ password })}
          />
        ) : (
          <Check
            label="Ask visitors for a password"
            checked={asked}
            onChange={(event) => onChange({ password: event.target.checked ? "asked" : "unset" })}
          />
        )}
        {asked && (
          <Field
            label="New password"
            type="password"
            autoComplete="new-password"
            className="max-w-sm"
            hint="The one that there is stays where this is empty. It is not shown."
            value={draft.newPassword}
            onChange={(event) => onChange({ newPassword: event.target.value })}
          />
        )}
      </CardBody>
    </Card>
  );
}
