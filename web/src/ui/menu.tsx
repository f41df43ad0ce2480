import * as Radix from "@radix-ui/react-dropdown-menu";
import type { ReactNode } from "react";
import { classes } from "./classes";

/** A menu that opens below its button. Not modal: that would write styles into the page, which its policy forbids. */
export function Menu({ button, children }: { button: ReactNode; children: ReactNode }) {
  return (
    <Radix.Root modal={false}>
      <Radix.Trigger asChild>{button}</Radix.Trigger>
      <Radix.Portal>
        <Radix.Content
          align="end"
          sideOffset={6}
          className="z-20 min-w-44 rounded-md border border-line bg-surface p-1 text-ink shadow-lg"
        >
          {children}
        </Radix.Content>
      </Radix.Portal>
    </Radix.Root>
  );
}

interface ItemProps {
  danger?: boolean;
  disabled?: boolean;
  onSelect: () => void;
  children: ReactNode;
}

export function MenuItem({ danger = false, disabled = false, onSelect, children }: ItemProps) {
  return (
    <Radix.Item
      disabled={disabled}
      onSelect={onSelect}
      className={classes(
        "flex min-h-9 items-center gap-2 rounded px-2.5 outline-none select-none data-[disabled]:opacity-50 data-[highlighted]:bg-raised",
        "[&_svg]:size-4",
        danger && "text-bad",
      )}
    >
      {children}
    </Radix.Item>
  );
}

export function MenuNote({ children }: { children: ReactNode }) {
  return <Radix.Label className="px-2.5 py-1.5 text-xs text-muted">{children}</Radix.Label>;
}
