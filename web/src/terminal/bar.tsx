import { useState, type Ref } from "react";
import type { Replica } from "@/api/types";
import { Badge, type Tone } from "@/ui/badge";
import { buttonClasses } from "@/ui/button";
import { INPUT, Select } from "@/ui/field";
import { classes } from "@/ui/classes";
import type { Place } from "./place";
import type { Phase } from "./screen";

interface Props {
  place: Place;
  replica: string;
  replicas: readonly Replica[];
  onReplica: (replica: string) => void;
  phase: Phase;
  spoken: boolean;
  onSpoken: (spoken: boolean) => void;
  /** The button that runs the command, where the keys out of the terminal lead. */
  again: Ref<HTMLButtonElement>;
  onRun: (command: string) => void;
}

/** Where the terminal is, how it goes, and what runs in it. */
export function Bar({ place, replica, replicas, phase, spoken, again, ...on }: Props) {
  const [command, setCommand] = useState("");
  const { tone, text } = standing(phase);
  return (
    <header className="flex flex-wrap items-center gap-x-4 gap-y-2 border-b border-line bg-surface px-3 py-2">
      <h1 className="font-semibold">
        <a href={`/projects/${place.project}?env=${encodeURIComponent(place.environment)}`}>
          {place.project}
        </a>
        <span className="font-normal text-muted"> / {place.environment}</span>
      </h1>
      <Replicas {...{ replica, replicas }} onReplica={on.onReplica} />
      <span role="status">
        <Badge tone={tone}>{text}</Badge>
      </span>
      <form
        className="ml-auto flex flex-wrap items-center gap-2"
        onSubmit={(event) => {
          event.preventDefault();
          on.onRun(command);
        }}
      >
        <label className="flex items-center gap-2 text-muted">
          <input
            type="checkbox"
            className="size-4 accent-solid"
            checked={spoken}
            onChange={(event) => on.onSpoken(event.target.checked)}
          />
          Screen reader
        </label>
        <input
          aria-label="Command"
          className={classes(INPUT, "!w-44 font-mono")}
          placeholder="bash or sh"
          autoComplete="off"
          autoCapitalize="off"
          spellCheck={false}
          value={command}
          onChange={(event) => setCommand(event.target.value)}
        />
        <button ref={again} type="submit" className={buttonClasses(isOver(phase) ? "primary" : "plain")}>
          {isOver(phase) ? "Connect again" : "Run anew"}
        </button>
      </form>
      <p className="w-full text-xs text-muted">
        <kbd>Shift F6</kbd> leaves the terminal · <kbd>Ctrl Shift C</kbd> copies, <kbd>Ctrl Shift V</kbd>{" "}
        pastes
      </p>
    </header>
  );
}

/** The replica, and the healthy ones that could be entered instead: this one may have gone. */
function Replicas({ replica, replicas, onReplica }: Pick<Props, "replica" | "replicas" | "onReplica">) {
  const healthy = replicas.filter(({ id, observed }) => id !== replica && observed.type === "healthy");
  const named = (id: string) => replicas.find((one) => one.id === id)?.container ?? id;
  if (healthy.length === 0) return <span className="font-mono text-xs text-muted">{named(replica)}</span>;
  const options = [replica, ...healthy.map(({ id }) => id)].map((id) => ({ value: id, text: named(id) }));
  return <Select label="Replica" value={replica} options={options} onChange={onReplica} />;
}

/** Whether nothing runs any more. */
export function isOver({ type }: Phase): boolean {
  return type !== "opening" && type !== "open";
}

function standing(phase: Phase): { tone: Tone; text: string } {
  switch (phase.type) {
    case "opening":
      return { tone: "busy", text: "Connecting" };
    case "open":
      return { tone: "good", text: "Connected" };
    case "exit":
      return { tone: "calm", text: phase.code === null ? "Ended" : `Ended with code ${phase.code}` };
    case "broken":
      return { tone: "bad", text: "The connection broke" };
    case "dismissed":
      return { tone: "bad", text: "Ended: you are logged out, or may not do this any more" };
    case "refused":
      return { tone: "bad", text: "Refused" };
    case "flooded":
      return { tone: "bad", text: "Ended: it wrote faster than the page can show" };
  }
}
