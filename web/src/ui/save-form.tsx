import type { ReactNode } from "react";
import { useMay, type Permission } from "@/session/permission";
import { Button } from "./button";
import { ProblemNote } from "./problem-note";

interface Props {
  /** What saves it. */
  call: { mutate: () => void; isPending: boolean; isSuccess: boolean; error: unknown };
  /** What one has to be allowed; everybody else is shown what there is. */
  needs: Permission;
  children: ReactNode;
  /** What is asked after a refusal. */
  more?: ReactNode;
}

/** A page's form: what may be changed, why it could not be, and a button that saves it. */
export function SaveForm({ call, needs, children, more }: Props) {
  const may = useMay(needs);
  return (
    <form
      className="space-y-5"
      onSubmit={(event) => {
        event.preventDefault();
        call.mutate();
      }}
    >
      <fieldset disabled={!may} className="space-y-5">
        {children}
      </fieldset>
      <ProblemNote error={call.error} />
      {more}
      {may ? (
        <div className="flex items-center gap-3">
          <Button type="submit" look="primary" busy={call.isPending}>
            Save
          </Button>
          {call.isSuccess && <span role="status">Saved.</span>}
        </div>
      ) : (
        <p className="text-muted">You may look at it. To change it takes the permission “{needs}”.</p>
      )}
    </form>
  );
}
