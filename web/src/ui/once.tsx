import { Button } from "./button";
import { Dialog } from "./dialog";
import { Line } from "./copy";
import type { ReactNode } from "react";

interface Props {
  title: string;
  secret: string;
  /** What the secret is, such as `the key`. */
  what: string;
  children?: ReactNode;
  onClose: () => void;
}

/** A secret that nobody is shown again. */
export function ShownOnce({ title, secret, what, children, onClose }: Props) {
  return (
    <Dialog title={title} onClose={onClose}>
      <p>Copy it now. Nobody can show it again.</p>
      <Line text={secret} what={what} />
      {children}
      <div className="flex justify-end">
        <Button look="primary" onClick={onClose}>
          Done
        </Button>
      </div>
    </Dialog>
  );
}
