import { useSuspenseQuery } from "@tanstack/react-query";
import { Link, Outlet, useLocation } from "@tanstack/react-router";
import { useEffect, useRef } from "react";
import { sessionQuery } from "@/session/session";
import { placesFor } from "./places";

/** What is around every page of the settings: where else there is to go. */
export default function SettingsLayout() {
  const { data } = useSuspenseQuery(sessionQuery);
  const { pathname } = useLocation();
  const links = useRef<HTMLElement>(null);
  // Where the screen is narrow, the page's own link may be out of sight.
  useEffect(() => {
    links.current
      ?.querySelector("[aria-current=page]")
      ?.scrollIntoView({ block: "nearest", inline: "center" });
  }, [pathname]);
  return (
    <div className="gap-10 lg:grid lg:grid-cols-[11rem_minmax(0,1fr)]">
      <nav
        ref={links}
        aria-label="Settings"
        className="mb-5 flex gap-1 overflow-x-auto border-b border-line lg:sticky lg:top-6 lg:mb-0 lg:block lg:space-y-5 lg:self-start lg:border-0"
      >
        {placesFor(data.permissions).map(({ title, places }) => (
          <div key={title} className="flex gap-1 lg:block lg:space-y-0.5">
            <p className="hidden px-2.5 pb-1 text-xs text-muted lg:block">{title}</p>
            {places.map(({ to, text }) => (
              <Link
                key={to}
                to={to}
                activeOptions={{ exact: true }}
                className="-mb-px block border-b-2 border-transparent px-2.5 py-2 whitespace-nowrap text-muted -outline-offset-2 hover:text-ink lg:mb-0 lg:rounded-md lg:border-0 lg:py-1.5 lg:hover:bg-raised"
                activeProps={{
                  className: "!border-accent font-medium !text-ink lg:bg-raised",
                  "aria-current": "page",
                }}
              >
                {text}
              </Link>
            ))}
          </div>
        ))}
      </nav>
      <Outlet />
    </div>
  );
}
