import { useEffect, type ReactNode } from "react";

interface Props {
  title: string;
  /** What stands in the browser's tab; the title unless told. */
  tab?: string;
  about?: ReactNode;
  actions?: ReactNode;
  children: ReactNode;
}

/** What every page has: a title, what may be done, and the rest. */
export function Page({ title, tab, about, actions, children }: Props) {
  useTitle(tab ?? title);
  return (
    <div className="space-y-5">
      <header className="flex flex-wrap items-center justify-between gap-3">
        <div className="min-w-0">
          <h1 className="truncate text-xl font-semibold tracking-tight">{title}</h1>
          {about !== undefined && <p className="mt-1 text-muted">{about}</p>}
        </div>
        {actions !== undefined && <div className="flex flex-wrap gap-2">{actions}</div>}
      </header>
      {children}
    </div>
  );
}

export function useTitle(title: string) {
  useEffect(() => {
    document.title = `${title} · Temps`;
  }, [title]);
}
