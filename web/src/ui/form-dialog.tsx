import type { UseMutationResult } from "@tanstack/react-query";
import type { ReactNode } from "react";
import { Button } from "./button";
import { Dialog } from "./dialog";
import { ProblemNote } from "./problem-note";

interface Props {
  title: string;
  /** What the button says that sends the form. */
  action: string;
  /** What sends it. */
  call: Pick<UseMutationResult<unknown, unknown, void>, "mutate" | "isPending" | "error">;
  onClose: () => void;
  children: ReactNode;
}

/** A dialog with a form, which says why it could not be sent. */
export function FormDialog({ title, action, call, onClose, children }: Props) {
  return (
    <Dialog title={title} onClose={onClose}>
      <form
        className="space-y-4"
        onSubmit={(event) => {
          event.preventDefault();
          call.mutate();
        }}
      >
        {children}
        <ProblemNote error={call.error} />
        <div className="flex justify-end gap-2">
          <Button onClick={onClose}>Cancel</Button>
          <Button type="submit" look="primary" busy={call.isPending}>
            {action}
          </Button>
        </div>
      </form>
    </Dialog>
  );
}
