import { useSuspenseQuery } from "@tanstack/react-query";
import { Outlet } from "@tanstack/react-router";
import { sessionQuery } from "@/session/session";
import { SideNav } from "@/ui/side-nav";
import { placesFor } from "./places";

/** What is around every page of the settings: where else there is to go. */
export default function SettingsLayout() {
  const { data } = useSuspenseQuery(sessionQuery);
  const groups = placesFor(data.permissions).map(({ title, places }) => ({
    title,
    links: places.map(({ to, text }) => ({ text, leads: { to, activeOptions: { exact: true } } })),
  }));
  return (
    <div className="gap-10 lg:grid lg:grid-cols-[11rem_minmax(0,1fr)]">
      <SideNav label="Settings" groups={groups} />
      <Outlet />
    </div>
  );
}
