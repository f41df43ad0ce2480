import { TriangleAlert } from "lucide-react";
import type { Detection } from "@/api/types";
import { Fact, Facts } from "@/ui/facts";
import { sentence } from "@/ui/problem-note";
import { outputOf, portOf } from "./words";

/** What would be built of a source, and why. */
export function Found({ detection }: { detection: Detection }) {
  const { preset, reasons, warnings, commands, revision, dockerfile, config_file } = detection;
  const port = portOf(detection);
  return (
    <section
      aria-label="What will be built"
      className="space-y-3 rounded-md border border-line bg-raised p-3"
    >
      <div>
        <h3 className="font-semibold">
          Found: <span className="font-mono">{preset}</span>
        </h3>
        <ul className="mt-1 list-disc space-y-0.5 pl-5 text-muted" aria-label="Why">
          {reasons.map((reason) => (
            // Begins with the name of a file.
            <li key={reason} className="break-words">
              {reason}
            </li>
          ))}
        </ul>
      </div>
      <dl className="space-y-2 empty:hidden">
        <Commands name="Install" lines={commands.install} />
        <Commands name="Build" lines={commands.build} />
        <Commands name="Start" lines={commands.start ? [commands.start] : []} />
        {dockerfile?.type === "in_source" && <Commands name="Dockerfile" lines={[dockerfile.path]} />}
      </dl>
      <Facts>
        <Fact name="Result">{outputOf(detection)}</Fact>
        {port !== undefined && <Fact name="Port">{port}</Fact>}
        {revision && (
          <Fact name="Commit">
            <span className="font-mono">{revision.commit.slice(0, 7)}</span> {revision.message}
          </Fact>
        )}
      </Facts>
      {warnings.map((warning) => (
        <p key={warning} className="flex gap-2">
          <TriangleAlert className="mt-0.5 size-4 shrink-0 text-warn" aria-hidden />
          <span className="min-w-0 break-words">{sentence(warning)}</span>
        </p>
      ))}
      <p className="text-muted">
        {config_file
          ? `${config_file} has its settings`
          : "To change any of it, put a temps.json at the root of the app"}
        : preset, commands, folder and port.
      </p>
      {dockerfile?.type === "written" && (
        <details>
          <summary className="cursor-pointer text-muted hover:text-ink">
            The Dockerfile it is built by
          </summary>
          <pre
            tabIndex={0}
            aria-label="Dockerfile"
            className="mt-2 max-h-80 overflow-auto rounded-md bg-log p-3 font-mono text-xs"
          >
            {dockerfile.text}
          </pre>
        </details>
      )}
    </section>
  );
}

function Commands({ name, lines }: { name: string; lines: string[] }) {
  if (lines.length === 0) return null;
  return (
    <Fact name={name}>
      {lines.map((line) => (
        <code key={line} className="block text-[0.8125rem] break-words">
          {line}
        </code>
      ))}
    </Fact>
  );
}
