import { useSuspenseQuery } from "@tanstack/react-query";
import { Link, Outlet, useNavigate } from "@tanstack/react-router";
import { CircleUser, LogOut, Monitor, Moon, Sun, UserRound } from "lucide-react";
import { useChanges } from "@/api/changes";
import { PaletteHost } from "@/palette/host";
import { sessionQuery, useLogOut } from "@/session/session";
import { Menu, MenuItem, MenuNote } from "@/ui/menu";
import { buttonClasses } from "@/ui/button";
import { setTheme } from "@/ui/theme";
import { useStatusStream } from "@/cluster/use-status-stream";
import { DialogNotice } from "@/ui/dialog";
import { Banner } from "./banner";
import { Brand } from "./brand";
import { useReturn } from "./use-return";

const PLACES = [
  { to: "/", text: "Projects" },
  { to: "/cluster", text: "Cluster" },
  { to: "/settings", text: "Settings" },
] as const;

/** What is around every page. */
export function Shell() {
  useChanges();
  useStatusStream();
  useReturn();
  return (
    <DialogNotice value={<Banner />}>
      <a
        href="#main"
        className="sr-only focus:not-sr-only focus:absolute focus:z-30 focus:m-2 focus:rounded focus:bg-surface focus:p-2"
      >
        Skip to the page
      </a>
      <header className="border-b border-line bg-surface">
        <div className="mx-auto flex max-w-7xl flex-wrap items-center gap-x-6 px-4">
          <Link to="/" className="flex py-3" aria-label="Temps, to the projects">
            <Brand />
          </Link>
          <nav aria-label="Main" className="order-last -mx-1 flex w-full gap-1 sm:order-none sm:w-auto">
            {PLACES.map(({ to, text }) => (
              <Link
                key={to}
                to={to}
                activeOptions={{ exact: to === "/" }}
                className="rounded-md px-2.5 py-2 text-muted hover:text-ink"
                activeProps={{ className: "font-medium !text-ink", "aria-current": "page" }}
              >
                {text}
              </Link>
            ))}
          </nav>
          <div className="ml-auto flex items-center gap-1">
            <PaletteHost />
            <Account />
          </div>
        </div>
      </header>
      <Banner />
      <main id="main" className="mx-auto max-w-7xl px-4 py-6">
        <Outlet />
      </main>
    </DialogNotice>
  );
}

function Account() {
  const { data } = useSuspenseQuery(sessionQuery);
  const navigate = useNavigate();
  const leave = useLogOut();
  return (
    <Menu
      button={
        <button type="button" className={buttonClasses("quiet")} aria-label={`Account of ${data.user.email}`}>
          <CircleUser aria-hidden />
          <span className="hidden max-w-48 truncate md:inline">{data.user.email}</span>
        </button>
      }
    >
      <MenuNote>
        {data.user.email} · {data.user.role}
      </MenuNote>
      <MenuItem onSelect={() => void navigate({ to: "/settings/profile" })}>
        <UserRound aria-hidden /> Profile
      </MenuItem>
      <MenuItem onSelect={() => setTheme("system")}>
        <Monitor aria-hidden /> As the system
      </MenuItem>
      <MenuItem onSelect={() => setTheme("light")}>
        <Sun aria-hidden /> Light
      </MenuItem>
      <MenuItem onSelect={() => setTheme("dark")}>
        <Moon aria-hidden /> Dark
      </MenuItem>
      <MenuItem onSelect={() => leave.mutate()}>
        <LogOut aria-hidden /> Log out
      </MenuItem>
    </Menu>
  );
}
