import { useQuery } from "@tanstack/react-query";
import { Plus, Trash2 } from "lucide-react";
import { useState } from "react";
import type { HeaderPolicy } from "@/api/types";
import { useChange } from "@/api/use-change";
import { Button } from "@/ui/button";
import { Card, CardBody } from "@/ui/card";
import { Choice } from "@/ui/choice";
import { INPUT } from "@/ui/field";
import { Loaded } from "@/ui/loading";
import { SaveForm } from "@/ui/save-form";
import { inherited, namedHeaders, PRESETS, type Header } from "./presets";
import { headersQuery, setHeaders } from "./queries";
import { inherits, needed, type Scope } from "./scope";

/** The security headers of a scope. */
export function HeaderForm({ scope }: { scope: Scope }) {
  const query = useQuery(headersQuery(scope));
  return <Loaded query={query}>{(policy) => <Form scope={scope} policy={policy} />}</Loaded>;
}

interface FormProps {
  scope: Scope;
  policy: HeaderPolicy;
}

function Form({ scope, policy }: FormProps) {
  const [preset, setPreset] = useState(inherits(scope) ? policy.preset : policy.effective.preset);
  const [headers, setDraft] = useState<readonly Header[]>(() => {
    const known = Object.entries(policy.headers).map(([name, value]) => ({ name, value }));
    return known.length > 0 ? known : [{ name: "", value: "" }];
  });
  const call = useChange(
    () => setHeaders(scope, preset, preset === "custom" ? namedHeaders(headers) : {}),
    ["header-policies"],
  );
  return (
    <SaveForm call={call} needs={needed(scope)}>
      <Card>
        <CardBody className="space-y-5">
          <Choice
            label="Which headers"
            value={preset}
            options={inherits(scope) ? [inherited(policy), ...PRESETS] : PRESETS}
            onChange={setPreset}
          />
          {preset === "custom" && <Lines headers={headers} onChange={setDraft} />}
        </CardBody>
      </Card>
    </SaveForm>
  );
}

interface LinesProps {
  headers: readonly Header[];
  onChange: (headers: readonly Header[]) => void;
}

function Lines({ headers, onChange }: LinesProps) {
  const change = (place: number, part: Partial<Header>) =>
    onChange(headers.map((header, at) => (at === place ? { ...header, ...part } : header)));
  return (
    <div className="space-y-2">
      {headers.map(({ name, value }, place) => (
        <div key={place} className="grid grid-cols-[1fr_auto] gap-2 sm:grid-cols-[14rem_1fr_auto]">
          <input
            aria-label={`Name of header ${place + 1}`}
            placeholder="X-Frame-Options"
            spellCheck={false}
            className={`${INPUT} font-mono`}
            value={name}
            onChange={(event) => change(place, { name: event.target.value })}
          />
          <input
            aria-label={`Value of header ${place + 1}`}
            placeholder="DENY"
            spellCheck={false}
            className={`${INPUT} order-last col-span-2 font-mono sm:order-none sm:col-span-1`}
            value={value}
            onChange={(event) => change(place, { value: event.target.value })}
          />
          <Button
            look="quiet"
            aria-label={`Leave out header ${place + 1}`}
            onClick={() => onChange(headers.filter((_, at) => at !== place))}
          >
            <Trash2 aria-hidden />
          </Button>
        </div>
      ))}
      <Button onClick={() => onChange([...headers, { name: "", value: "" }])}>
        <Plus aria-hidden /> One more header
      </Button>
    </div>
  );
}
