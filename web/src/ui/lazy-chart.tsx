import { lazy, Suspense, type ComponentProps } from "react";
import { QuietBoundary } from "./quiet-boundary";

const Loaded = lazy(() => import("./chart"));

/** A chart, whose program comes once there is one to draw. */
export function Chart(props: ComponentProps<typeof Loaded>) {
  return (
    <QuietBoundary>
      <Suspense fallback={<div className="h-36" />}>
        <Loaded {...props} />
      </Suspense>
    </QuietBoundary>
  );
}
