import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { api, unwrap } from "@/api/client";
import type { Node, Status } from "@/api/types";
import { Confirm } from "@/ui/confirm";
import { Check } from "@/ui/field";

interface Props {
  node: Node;
  onClose: () => void;
}

/** A change of a node; the dialog closes when it is done. */
function useNodeCall<T>(call: () => Promise<T>, onClose: () => void) {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: call,
    onSuccess: () => {
      void queries.invalidateQueries({ queryKey: ["status"] });
      onClose();
    },
  });
}

export function DrainNode({ node, onClose }: Props) {
  const path = { n: String(node.id) };
  const call = useNodeCall(() => unwrap(api.POST("/api/nodes/{n}/drain", { params: { path } })), onClose);
  return (
    <Confirm
      title={`Drain ${node.name}?`}
      action="Drain"
      busy={call.isPending}
      error={call.error}
      onConfirm={() => call.mutate()}
      onClose={onClose}
    >
      <p>
        {node.replicas === 0
          ? "No replica runs on it."
          : `Its ${node.replicas} ${node.replicas === 1 ? "replica starts" : "replicas start"} on other nodes first; nobody notices.`}{" "}
        It takes no new replica and no build until it is taken into use again.
      </p>
      <p className="text-muted">
        The list of nodes says when it is empty. Its edge serves on until it is stopped.
      </p>
    </Confirm>
  );
}

export function UndrainNode({ node, onClose }: Props) {
  const path = { n: String(node.id) };
  const call = useNodeCall(() => unwrap(api.POST("/api/nodes/{n}/undrain", { params: { path } })), onClose);
  return (
    <Confirm
      title={`Take ${node.name} into use again?`}
      action="Take it into use"
      busy={call.isPending}
      error={call.error}
      onConfirm={() => call.mutate()}
      onClose={onClose}
    >
      <p>New replicas and builds may be placed on it again. What runs elsewhere stays where it is.</p>
    </Confirm>
  );
}

export function RemoveNode({ node, status, onClose }: Props & { status: Status }) {
  const [force, setForce] = useState(false);
  const path = { n: String(node.id) };
  const call = useNodeCall(
    () => unwrap(api.DELETE("/api/nodes/{n}", { params: { path, query: force ? { force: true } : {} } })),
    onClose,
  );
  const left = status.nodes.length - 1;
  return (
    <Confirm
      title={`Remove ${node.name} for ever?`}
      name={node.name}
      action="Remove the node"
      danger
      busy={call.isPending}
      error={call.error}
      onConfirm={() => call.mutate()}
      onClose={onClose}
    >
      <p>
        It is no member of the cluster any more, and has to join anew to become one.{" "}
        {left === 1 ? "One node is" : `${left} nodes are`} left.
      </p>
      {!node.drained && node.replicas > 0 && node.reachable && (
        <p className="text-warn">
          Replicas still run on it, and stop at once. Drain it first to move them without a gap.
        </p>
      )}
      <p>Images and versions that only it has are lost.</p>
      {call.isError && (
        <Check
          label="Remove it all the same"
          hint="Even if the rest can agree on nothing any more."
          checked={force}
          onChange={(event) => setForce(event.target.checked)}
        />
      )}
    </Confirm>
  );
}
