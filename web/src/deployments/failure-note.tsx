import { CircleAlert } from "lucide-react";
import type { Failure } from "@/api/types";
import { sentence } from "@/ui/problem-note";

interface Props {
  failure: Failure;
  /** Whether to show the last lines that were written; those of a build are in its log already. */
  withLog: boolean;
}

/** Why a deployment failed, and what to try next. */
export function FailureNote({ failure, withLog }: Props) {
  return (
    <div role="alert" className="space-y-3 rounded-lg border border-bad/40 bg-bad/5 p-4">
      <div className="flex gap-3">
        <CircleAlert className="mt-0.5 size-4 shrink-0 text-bad" aria-hidden />
        <div className="min-w-0 space-y-1">
          <p className="font-medium">{sentence(failure.message)}</p>
          <p>What to do: {failure.hint}</p>
          <p className="font-mono text-xs text-muted">{failure.code}</p>
        </div>
      </div>
      {withLog && failure.log_tail.length > 0 && (
        <pre
          className="max-h-64 overflow-auto rounded-md border border-line bg-log p-3 font-mono text-xs"
          tabIndex={0}
        >
          {failure.log_tail.join("\n")}
        </pre>
      )}
    </div>
  );
}
