import { useMutation } from "@tanstack/react-query";
import { api, unwrap } from "@/api/client";
import { Ago } from "@/ui/ago";
import { Button } from "@/ui/button";
import { Line } from "@/ui/copy";
import { Dialog } from "@/ui/dialog";
import { ProblemNote } from "@/ui/problem-note";

/** Makes a token, and shows the line to run on the other machine. */
export function AddNode({ onClose }: { onClose: () => void }) {
  const call = useMutation({ mutationFn: () => unwrap(api.POST("/api/nodes/tokens", { body: {} })) });
  return (
    <Dialog title="Add a node" onClose={onClose}>
      {call.data === undefined ? (
        <>
          <p>
            On a machine with the same program and a container engine, one line makes it a node of this
            cluster. It holds a token that admits one node, and ends within the hour.
          </p>
          <ProblemNote error={call.error} />
          <div className="flex justify-end gap-2">
            <Button onClick={onClose}>Cancel</Button>
            <Button look="primary" busy={call.isPending} onClick={() => call.mutate()}>
              Make the line
            </Button>
          </div>
        </>
      ) : (
        <>
          <p>Run this there, as root. It is shown this once:</p>
          <Line text={call.data.command} what="the line that joins" />
          <p className="text-muted">
            The token ends <Ago at={call.data.expires_at} />. The node appears in the list by itself.
          </p>
          <div className="flex justify-end">
            <Button look="primary" onClick={onClose}>
              Done
            </Button>
          </div>
        </>
      )}
    </Dialog>
  );
}
