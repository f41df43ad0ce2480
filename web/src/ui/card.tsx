import type { ReactNode } from "react";
import { classes } from "./classes";

interface Props {
  title?: ReactNode;
  /** What the card is about, in a sentence. */
  about?: ReactNode;
  actions?: ReactNode;
  className?: string;
  children?: ReactNode;
}

export function Card({ title, about, actions, className, children }: Props) {
  return (
    <section className={classes("rounded-lg border border-line bg-surface", className)}>
      {(title !== undefined || actions !== undefined) && (
        <header className="flex flex-wrap items-center justify-between gap-3 border-b border-line px-4 py-3 last:border-b-0">
          <div className="min-w-0">
            <h2 className="font-semibold">{title}</h2>
            {about !== undefined && <p className="mt-0.5 text-muted">{about}</p>}
          </div>
          {actions !== undefined && <div className="flex flex-wrap gap-2">{actions}</div>}
        </header>
      )}
      {children}
    </section>
  );
}

export function CardBody({ className, children }: { className?: string; children: ReactNode }) {
  return <div className={classes("p-4", className)}>{children}</div>;
}
