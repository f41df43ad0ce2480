import { EllipsisVertical } from "lucide-react";
import { useState } from "react";
import type { Node, Status } from "@/api/types";
import { useMay } from "@/session/permission";
import { Ago } from "@/ui/ago";
import { Badge, Tag } from "@/ui/badge";
import { buttonClasses } from "@/ui/button";
import { Menu, MenuItem } from "@/ui/menu";
import { Cell, Table } from "@/ui/table";
import { DrainNode, RemoveNode, UndrainNode } from "./node-dialogs";
import { nodeRole, nodeStanding } from "./standing";

type Asked = { what: "drain" | "undrain" | "remove"; node: Node };

export function NodeTable({ status }: { status: Status }) {
  const [asked, setAsked] = useState<Asked>();
  const close = () => setAsked(undefined);
  return (
    <>
      <Table label="Nodes" columns={["Node", "State", "Role", "Lag", "Replicas", "Machine", ""]}>
        {status.nodes.map((node) => (
          <Row
            key={node.id}
            node={node}
            here={node.id === status.node}
            onAsk={(what) => setAsked({ what, node })}
          />
        ))}
      </Table>
      {asked?.what === "drain" && <DrainNode node={asked.node} onClose={close} />}
      {asked?.what === "undrain" && <UndrainNode node={asked.node} onClose={close} />}
      {asked?.what === "remove" && <RemoveNode node={asked.node} status={status} onClose={close} />}
    </>
  );
}

interface RowProps {
  node: Node;
  /** Whether it is the node that serves the page. */
  here: boolean;
  onAsk: (what: Asked["what"]) => void;
}

function Row({ node, here, onAsk }: RowProps) {
  const { tone, text } = nodeStanding(node);
  const may = useMay("admin");
  const draining = node.standing === "draining";
  return (
    <tr>
      <Cell>
        <p className="flex items-center gap-2 font-medium">
          {node.name} {here && <Tag>this page</Tag>}
        </p>
        <p className="text-xs text-muted">{node.address}</p>
      </Cell>
      <Cell>
        <Badge tone={tone}>{text}</Badge>
        {node.lost_since && (
          <p className="text-xs text-muted">
            <Ago at={node.lost_since} />
          </p>
        )}
        {node.engine_problem && <p className="max-w-64 text-xs text-muted">{node.engine_problem}</p>}
        {node.blocked_by.length > 0 && (
          <p className="max-w-64 text-xs text-muted">{node.blocked_by.join("; ")}</p>
        )}
      </Cell>
      <Cell>{nodeRole(node)}</Cell>
      <Cell>{node.lag == null ? "–" : node.lag === 0 ? "none" : `${node.lag} entries`}</Cell>
      <Cell>{node.replicas}</Cell>
      <Cell className="whitespace-nowrap text-muted">
        {node.capacity.cpu_millis / 1_000} × {node.architecture},{" "}
        {(node.capacity.memory_mib / 1_024).toFixed(1)} GiB
      </Cell>
      <Cell className="text-right">
        {may && (
          <Menu
            button={
              <button
                type="button"
                className={buttonClasses("quiet")}
                aria-label={`What to do with ${node.name}`}
              >
                <EllipsisVertical aria-hidden />
              </button>
            }
          >
            {draining ? (
              <MenuItem onSelect={() => onAsk("undrain")}>Take it into use again</MenuItem>
            ) : (
              <MenuItem onSelect={() => onAsk("drain")}>Drain</MenuItem>
            )}
            <MenuItem danger onSelect={() => onAsk("remove")}>
              Remove for ever
            </MenuItem>
          </Menu>
        )}
      </Cell>
    </tr>
  );
}
