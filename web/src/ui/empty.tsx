import type { ReactNode } from "react";

/** What stands where there is nothing yet: why, and what to do. */
export function Empty({ title, children }: { title: string; children?: ReactNode }) {
  return (
    <div className="space-y-3 px-4 py-10 text-center">
      <p className="font-medium">{title}</p>
      {children !== undefined && <div className="mx-auto max-w-md space-y-3 text-muted">{children}</div>}
    </div>
  );
}
