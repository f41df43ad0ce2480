import type { RequestLine } from "@/api/types";
import { NodeName } from "@/cluster/node-name";
import { Ago } from "@/ui/ago";
import { Badge, type Tone } from "@/ui/badge";
import { size } from "@/ui/size";
import { Cell, Table } from "@/ui/table";

const COLUMNS = ["When", "Status", "Request", "Took", "Sent", "Client", "Edge"];

/** Requests, the newest first. */
export function RequestTable({ lines }: { lines: readonly RequestLine[] }) {
  return (
    <Table label="Requests" columns={COLUMNS} numbers={["Took", "Sent"]}>
      {lines.map((line) =>
        line.type === "missing" ? (
          <tr key={`${line.node} ${line.at}`} className="text-warn">
            <Cell className="whitespace-nowrap">
              <Ago at={line.at} />
            </Cell>
            <td colSpan={COLUMNS.length - 1} className="px-4 py-2">
              Requests of <NodeName id={line.node} /> are missing here: {line.why}
            </td>
          </tr>
        ) : (
          <Row key={line.request_id} request={line} />
        ),
      )}
    </Table>
  );
}

function Row({ request }: { request: Extract<RequestLine, { type: "request" }> }) {
  const { at, status, method, host, path, https, milliseconds, sent_bytes, client, node, error } = request;
  return (
    <tr className="hover:bg-raised">
      <Cell className="whitespace-nowrap text-muted">
        <Ago at={at} />
      </Cell>
      <Cell>
        <Badge tone={toneOf(status)}>{status ?? "left"}</Badge>
      </Cell>
      <Cell className="max-w-md font-mono text-xs wrap-anywhere">
        <span title={`${https ? "https" : "http"}://${host}${path}`}>
          {method} {path}
        </span>
        <span className="block text-muted">{host}</span>
        {error != null && <span className="block text-bad">{error}</span>}
      </Cell>
      <Cell className="text-right whitespace-nowrap tabular-nums">{milliseconds} ms</Cell>
      <Cell className="text-right whitespace-nowrap tabular-nums">{size(sent_bytes)}</Cell>
      <Cell className="font-mono text-xs">{client}</Cell>
      <Cell>
        <NodeName id={node} />
      </Cell>
    </tr>
  );
}

function toneOf(status: number | null | undefined): Tone {
  if (status == null) return "calm";
  if (status >= 500) return "bad";
  return status >= 400 ? "warn" : "good";
}
