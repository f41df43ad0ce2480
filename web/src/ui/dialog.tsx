import { X } from "lucide-react";
import { createContext, use, useId, useLayoutEffect, useRef, type ReactNode } from "react";
import { Button } from "./button";

interface Props {
  title: string;
  onClose: () => void;
  children: ReactNode;
}

/** What is written or chosen; the first one is where whoever opened the dialog goes on. */
const FIELDS = ["input", "textarea", "select"].map((field) => `${field}:not([readonly], .hidden)`).join(", ");

/** What has to be seen while a dialog is open, too: of the page behind it nothing can be read out or clicked. */
export const DialogNotice = createContext<ReactNode>(null);

/** A dialog over the page. The browser keeps the focus in it, and gives it back. */
export function Dialog({ title, onClose, children }: Props) {
  const element = useRef<HTMLDialogElement>(null);
  const id = useId();
  const notice = use(DialogNotice);
  // Before it is drawn, and before it is gone: else the browser has nobody to give the focus back to.
  useLayoutEffect(() => {
    const dialog = element.current;
    dialog?.showModal();
    dialog?.querySelector<HTMLElement>(FIELDS)?.focus();
    return () => dialog?.close();
  }, []);
  return (
    <dialog
      ref={element}
      aria-labelledby={id}
      className="w-[min(34rem,calc(100vw-2rem))] rounded-lg border border-line bg-surface text-ink shadow-xl"
      onCancel={(event) => {
        event.preventDefault();
        onClose();
      }}
    >
      <header className="flex items-center justify-between gap-3 border-b border-line px-4 py-3">
        <h2 id={id} className="font-semibold">
          {title}
        </h2>
        <Button look="quiet" className="px-2" aria-label="Close" onClick={onClose}>
          <X aria-hidden />
        </Button>
      </header>
      {notice}
      <div className="space-y-4 p-4">{children}</div>
    </dialog>
  );
}
