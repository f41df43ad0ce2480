import { useEffect, useRef, useState, type ReactNode } from "react";
import { Button } from "./button";
import { classes } from "./classes";

interface Props {
  label: string;
  /** How many lines there are; grows as they come. */
  count: number;
  children: ReactNode;
  /** Whether newer lines are on their way. */
  live: boolean;
  /** Whether the log has its full height from the start. */
  tall?: boolean;
}

/** Lines of a log. Follows the newest one until the reader scrolls away from it. */
export function Lines({ label, count, live, tall = false, children }: Props) {
  const element = useRef<HTMLDivElement>(null);
  const [following, setFollowing] = useState(true);
  useEffect(() => {
    const box = element.current;
    if (following && box !== null) box.scrollTop = box.scrollHeight;
  }, [count, following]);
  return (
    <div className="relative">
      <div
        ref={element}
        role="log"
        aria-label={label}
        aria-live="off"
        tabIndex={0}
        className={classes(
          "max-h-[min(32rem,70vh)] overflow-auto rounded-b-lg bg-log py-2 font-mono text-[0.8125rem] leading-5 -outline-offset-2",
          tall ? "h-[32rem]" : "min-h-40",
        )}
        onScroll={(event) => {
          const { scrollTop, scrollHeight, clientHeight } = event.currentTarget;
          setFollowing(scrollHeight - scrollTop - clientHeight < 24);
        }}
      >
        {children}
      </div>
      {live && !following && (
        <Button className="absolute right-4 bottom-4 shadow" onClick={() => setFollowing(true)}>
          To the newest line
        </Button>
      )}
    </div>
  );
}
