import { LoaderCircle } from "lucide-react";

/** That a source is on its way, or is looked at. */
export function Looking({ what, progress }: { what: string; progress?: number }) {
  return (
    <div role="status" className="space-y-2 text-muted">
      <p className="flex items-center gap-2">
        <LoaderCircle className="size-4 animate-spin" aria-hidden /> {what}
      </p>
      {progress !== undefined && (
        <progress className="h-2 w-full accent-solid" value={progress} aria-label="Upload" />
      )}
    </div>
  );
}
