import { lazy, Suspense, type ComponentProps } from "react";

const Loaded = lazy(() => import("./chart"));

/** A chart, whose program comes once there is one to draw. */
export function Chart(props: ComponentProps<typeof Loaded>) {
  return (
    <Suspense fallback={<div className="h-36" />}>
      <Loaded {...props} />
    </Suspense>
  );
}
