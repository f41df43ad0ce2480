import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useEffect, useRef, useState } from "react";
import type { Replica } from "@/api/types";
import { replicasQuery } from "@/environments/queries";
import { useTitle } from "@/ui/page";
import { ProblemNote } from "@/ui/problem-note";
import { Bar, isOver } from "./bar";
import { execPath, terminalUrl, wordsOf, type Place } from "./place";
import { Screen, type Phase } from "./screen";

/** A terminal in a replica, with a document and an address of its own. */
export function TerminalPage({ place }: { place: Place | undefined }) {
  useTitle(place === undefined ? "Terminal" : `Terminal · ${place.project}`);
  if (place === undefined) return <Alone>Open a terminal from the replicas of a project.</Alone>;
  return <InEnvironment place={place} />;
}

function Alone({ children }: { children: React.ReactNode }) {
  return (
    <main className="mx-auto max-w-2xl space-y-4 p-6">
      <h1 className="text-xl font-semibold tracking-tight">Terminal</h1>
      <div>{children}</div>
      <a href="/" className="text-accent underline">
        To the dashboard
      </a>
    </main>
  );
}

function InEnvironment({ place }: { place: Place }) {
  const { project, environment } = place;
  const query = useQuery(replicasQuery(project, environment));
  const [first] = query.data?.filter(({ observed }) => observed.type === "healthy") ?? [];
  const [chosen, setChosen] = useState(place.replica);
  // Which one it is does not change when others come and go.
  if (chosen === undefined && first !== undefined) setChosen(first.id);
  if (chosen === undefined)
    return (
      <Alone>
        {query.isError ? (
          <ProblemNote error={query.error} onRetry={() => void query.refetch()} />
        ) : (
          <p role="status">
            {query.isPending
              ? "Looking for a healthy replica …"
              : `No replica of ${project} in ${environment} is healthy.`}
          </p>
        )}
      </Alone>
    );
  const choose = (replica: string) => {
    window.history.replaceState(null, "", terminalUrl({ ...place, replica }));
    setChosen(replica);
  };
  return <InReplica place={place} replica={chosen} replicas={query.data ?? []} onReplica={choose} />;
}

interface Props {
  place: Place;
  replica: string;
  replicas: readonly Replica[];
  onReplica: (replica: string) => void;
}

function InReplica({ place, replica, replicas, onReplica }: Props) {
  const [command, setCommand] = useState("");
  const [attempt, setAttempt] = useState(0);
  const [phase, setPhase] = useState<Phase>({ type: "opening" });
  const [spoken, setSpoken] = useState(false);
  const queries = useQueryClient();
  const again = useRef<HTMLButtonElement>(null);
  useWarning(phase.type === "open");
  return (
    <main className="flex h-dvh flex-col">
      <Bar
        {...{ place, replica, replicas, onReplica, phase, spoken }}
        again={again}
        onSpoken={setSpoken}
        onRun={(typed) => {
          setCommand(typed);
          setAttempt(attempt + 1);
        }}
      />
      {phase.type === "refused" && (
        <div className="p-3">
          <ProblemNote error={phase.problem} />
        </div>
      )}
      <div className="min-h-0 flex-1 bg-terminal p-2">
        <Screen
          path={execPath(place, replica, wordsOf(command))}
          {...{ attempt, spoken }}
          onPhase={(next) => {
            setPhase(next);
            if (isOver(next)) void queries.invalidateQueries({ queryKey: ["replicas"] });
            // Who ended the shell may want another one; who lost it is in the middle of typing.
            if (next.type === "exit") again.current?.focus();
          }}
          onLeave={() => again.current?.focus()}
        />
      </div>
    </main>
  );
}

/** Has the browser ask before the page is left: Ctrl W deletes a word in shells, and closes the tab in browsers. */
function useWarning(running: boolean) {
  useEffect(() => {
    if (!running) return;
    const ask = (event: BeforeUnloadEvent) => event.preventDefault();
    window.addEventListener("beforeunload", ask);
    return () => window.removeEventListener("beforeunload", ask);
  }, [running]);
}
