import { Field, Select } from "@/ui/field";
import type { Filter } from "./filter";

const STATUSES = [
  { value: "", text: "Every status" },
  { value: "2xx", text: "2xx, done" },
  { value: "3xx", text: "3xx, sent elsewhere" },
  { value: "4xx", text: "4xx, the client's fault" },
  { value: "5xx", text: "5xx, the app's fault" },
  { value: "none", text: "Left before an answer" },
];
const METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

interface Props {
  filter: Filter;
  onChange: (filter: Filter) => void;
}

/** Which requests are shown. */
export function FilterFields({ filter, onChange }: Props) {
  const change = (part: Partial<Filter>) => onChange({ ...filter, ...part });
  // A single status comes by an address that somebody passed on.
  const statuses = STATUSES.some(({ value }) => value === filter.status)
    ? STATUSES
    : [...STATUSES, { value: filter.status, text: filter.status }];
  return (
    <>
      <Select
        label="Status"
        value={filter.status}
        options={statuses}
        onChange={(status) => change({ status })}
      />
      <Select
        label="Method"
        value={filter.method}
        options={[
          { value: "", text: "Every method" },
          ...METHODS.map((method) => ({ value: method, text: method })),
        ]}
        onChange={(method) => change({ method })}
      />
      <div className="min-w-40 flex-1">
        <Field
          label="Path begins with"
          spellCheck={false}
          value={filter.path}
          onChange={(event) => change({ path: event.target.value })}
        />
      </div>
      <div className="w-40">
        <Field
          label="Client"
          placeholder="203.0.113.7"
          spellCheck={false}
          value={filter.client}
          onChange={(event) => change({ client: event.target.value })}
        />
      </div>
      <div className="w-28">
        <Field
          label="Slower (ms)"
          inputMode="numeric"
          value={filter.slow}
          onChange={(event) => change({ slow: event.target.value })}
        />
      </div>
    </>
  );
}
