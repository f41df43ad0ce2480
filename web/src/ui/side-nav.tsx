import { Link, useLocation, type LinkProps } from "@tanstack/react-router";
import { useEffect, useRef } from "react";

export interface Group {
  title: string;
  links: readonly { text: string; leads: LinkProps }[];
}

interface Props {
  /** Where the links lead, for those who hear it. */
  label: string;
  groups: readonly Group[];
}

/** The pages of one thing, group by group, beside the page; above it where the screen is narrow. */
export function SideNav({ label, groups }: Props) {
  const { pathname } = useLocation();
  const links = useRef<HTMLElement>(null);
  // Where the screen is narrow, the page's own link may be out of sight.
  useEffect(() => {
    links.current
      ?.querySelector("[aria-current=page]")
      ?.scrollIntoView({ block: "nearest", inline: "center" });
  }, [pathname]);
  return (
    <nav
      ref={links}
      aria-label={label}
      className="mb-5 flex gap-1 overflow-x-auto border-b border-line lg:sticky lg:top-6 lg:mb-0 lg:block lg:space-y-5 lg:self-start lg:border-0"
    >
      {groups.map(({ title, links }) => (
        <div key={title} className="flex gap-1 lg:block lg:space-y-0.5">
          <p className="hidden px-2.5 pb-1 text-xs text-muted lg:block">{title}</p>
          {links.map(({ text, leads }) => (
            <Link
              key={text}
              {...leads}
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
  );
}
