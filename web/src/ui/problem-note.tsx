import { CircleAlert } from "lucide-react";
import { useEffect, useRef } from "react";
import { asProblem } from "@/api/problem";
import { Button } from "./button";

interface Props {
  /** What was thrown; nothing is shown without. */
  error: unknown;
  onRetry?: () => void;
}

/** What failed, why, what to do, and what to quote when asking for help. */
export function ProblemNote({ error, onRetry }: Props) {
  const element = useRef<HTMLDivElement>(null);
  // Who sent a long form may not see its end.
  useEffect(() => {
    if (element.current?.closest("form")) element.current.scrollIntoView({ block: "nearest" });
  }, [error]);
  if (error === null || error === undefined) return null;
  const { title, detail, hint, code, requestId } = asProblem(error);
  return (
    <div ref={element} role="alert" className="flex gap-3 rounded-md border border-bad/40 bg-bad/5 p-3">
      <CircleAlert className="mt-0.5 size-4 shrink-0 text-bad" aria-hidden />
      <div className="min-w-0 flex-1 space-y-1">
        <p className="font-medium break-words">{sentence(detail)}</p>
        {hint !== undefined && <p className="text-muted">What to do: {hint}</p>}
        <p className="font-mono text-xs break-all text-muted">
          {title} · {code}
          {requestId !== undefined && ` · ${requestId}`}
        </p>
      </div>
      {onRetry !== undefined && <Button onClick={onRetry}>Try again</Button>}
    </div>
  );
}

/** The API's sentences begin in lower case and end without a full stop. */
export function sentence(text: string): string {
  const first = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?]$/.test(first) ? first : `${first}.`;
}
