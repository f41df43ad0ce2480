import { Dialog } from "@/ui/dialog";
import { SHORTCUTS } from "./keys";
import { ShortcutSwitch } from "./shortcut-switch";
import { useSingleKeys } from "./single-keys";

export default function ShortcutHelp({ onClose }: { onClose: () => void }) {
  const single = useSingleKeys();
  return (
    <Dialog title="Keyboard shortcuts" onClose={onClose}>
      <dl className="divide-y divide-line">
        {SHORTCUTS.filter((one) => single || !one.single).map(({ keys, text }) => (
          <div key={text} className="flex items-center justify-between gap-4 py-2">
            <dt>{text}</dt>
            <dd className="flex shrink-0 gap-1">
              {keys.map((key) => (
                <Key key={key} name={key} />
              ))}
            </dd>
          </div>
        ))}
      </dl>
      <ShortcutSwitch />
    </Dialog>
  );
}

function Key({ name }: { name: string }) {
  return (
    <kbd className="min-w-6 rounded border border-line bg-raised px-1.5 py-0.5 text-center font-sans text-xs">
      {name}
    </kbd>
  );
}
