import { useQuery } from "@tanstack/react-query";
import { useNavigate, useParams, useSearch } from "@tanstack/react-router";
import { CornerDownLeft, Search } from "lucide-react";
import { useEffect, useId, useLayoutEffect, useRef, useState } from "react";
import { projectsQuery } from "@/projects/queries";
import { sessionQuery, useLogOut } from "@/session/session";
import { classes } from "@/ui/classes";
import { setTheme } from "@/ui/theme";
import { commands, type Command } from "./commands";
import { fitting } from "./match";

/** How many are shown at once. */
const SHOWN_MAX = 50;

interface Props {
  onHelp: () => void;
  onClose: () => void;
}

/** Finds projects, pages and what there is to do, by the keyboard alone. */
export default function Palette({ onHelp, onClose }: Props) {
  const [wanted, setWanted] = useState("");
  const [at, setAt] = useState(0);
  const { project } = useParams({ strict: false });
  const { env } = useSearch({ strict: false });
  const projects = useQuery(projectsQuery).data ?? [];
  const permissions = useQuery(sessionQuery).data?.permissions ?? [];
  const all = commands({ projects, permissions, here: project, environment: env });
  const found = fitting(all, ({ text }) => text, wanted).slice(0, SHOWN_MAX);
  const chosen = Math.min(at, found.length - 1);
  const run = useRun(onHelp, onClose);
  const dialog = useRef<HTMLDialogElement>(null);
  const id = useId();
  useLayoutEffect(() => {
    const element = dialog.current;
    element?.showModal();
    return () => element?.close();
  }, []);
  useEffect(() => {
    document.getElementById(`${id}-${chosen}`)?.scrollIntoView({ block: "nearest" });
  }, [chosen, id]);
  const move = (by: number) => setAt((chosen + by + found.length) % Math.max(found.length, 1));
  return (
    <dialog
      ref={dialog}
      aria-label="Find"
      className="mt-[12vh] w-[min(38rem,calc(100vw-2rem))] rounded-lg border border-line bg-surface text-ink shadow-xl"
      onCancel={(event) => {
        event.preventDefault();
        onClose();
      }}
      onClick={(event) => {
        if (event.target === dialog.current) onClose();
      }}
    >
      <div className="flex items-center gap-3 border-b border-line px-4">
        <Search className="size-4 shrink-0 text-muted" aria-hidden />
        <input
          autoFocus
          role="combobox"
          aria-label="Find a project, a page or what to do"
          aria-expanded={found.length > 0}
          aria-controls={`${id}-list`}
          aria-activedescendant={found.length === 0 ? undefined : `${id}-${chosen}`}
          autoComplete="off"
          spellCheck={false}
          placeholder="Find a project, a page or what to do"
          className="w-full bg-transparent py-3.5 text-base outline-none placeholder:text-muted"
          value={wanted}
          onChange={(event) => {
            setWanted(event.target.value);
            setAt(0);
          }}
          onKeyDown={(event) => {
            if (event.key === "ArrowDown") move(1);
            else if (event.key === "ArrowUp") move(-1);
            else if (event.key === "Enter" && found[chosen] !== undefined) run(found[chosen]);
            else return;
            event.preventDefault();
          }}
        />
      </div>
      <ul
        id={`${id}-list`}
        role="listbox"
        aria-label="Found"
        className="max-h-[min(24rem,60vh)] overflow-auto p-2"
      >
        {found.map((command, place) => (
          <li
            key={`${command.group} ${command.text}`}
            id={`${id}-${place}`}
            role="option"
            aria-selected={place === chosen}
            className={classes(
              "flex min-h-9 cursor-pointer items-center gap-3 rounded-md px-2.5",
              place === chosen && "bg-raised",
            )}
            onPointerMove={() => setAt(place)}
            onClick={() => run(command)}
          >
            <span className="min-w-0 flex-1 truncate">{command.text}</span>
            <span className="text-xs text-muted">{command.group}</span>
            <CornerDownLeft
              className={classes("size-3.5 text-muted", place !== chosen && "invisible")}
              aria-hidden
            />
          </li>
        ))}
      </ul>
      {found.length === 0 && (
        <p role="status" className="px-4 pb-6 text-center text-muted">
          Nothing is called that.
        </p>
      )}
    </dialog>
  );
}

/** Does what a command says, once the palette is gone. */
function useRun(onHelp: () => void, onClose: () => void) {
  const navigate = useNavigate();
  const leave = useLogOut();
  return ({ target }: Command) => {
    onClose();
    if ("to" in target) {
      void navigate(target as never);
      return;
    }
    if ("opens" in target) {
      window.open(target.opens, "_blank", "noreferrer");
      return;
    }
    if (target.does === "theme") setTheme(target.theme);
    else if (target.does === "help") onHelp();
    else leave.mutate();
  };
}
