import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useMemo, useState } from "react";
import type { Variable } from "@/api/types";
import { Button } from "@/ui/button";
import { Dialog } from "@/ui/dialog";
import { TextField } from "@/ui/field";
import { ProblemNote } from "@/ui/problem-note";
import { parseDotenv, soundsSecret } from "./dotenv";
import { setVariables } from "./queries";

interface Props {
  project: string;
  environment: string;
  known: readonly Variable[];
  onClose: () => void;
}

/** Takes the text of a `.env` file, shows what it was understood as, and sets all of it at once. */
export function PasteVariables({ project, environment, known, onClose }: Props) {
  const [text, setText] = useState("");
  const [secrets, setSecrets] = useState<Record<string, boolean>>({});
  const { pairs, unread } = useMemo(() => parseDotenv(text), [text]);
  const isSecret = (name: string) =>
    secrets[name] ?? (known.find((one) => one.name === name)?.secret === true || soundsSecret(name));
  const queries = useQueryClient();
  const call = useMutation({
    mutationFn: () =>
      setVariables(
        project,
        environment,
        pairs.map((pair) => ({ ...pair, secret: isSecret(pair.name) })),
      ),
    onSuccess: () => {
      void queries.invalidateQueries({ queryKey: ["variables"] });
      onClose();
    },
  });
  const isThere = (name: string) => known.some((one) => one.name === name);
  const replaced = pairs.filter(({ name }) => isThere(name)).length;
  return (
    <Dialog title="Paste a .env" onClose={onClose}>
      <form
        className="space-y-4"
        onSubmit={(event) => {
          event.preventDefault();
          call.mutate();
        }}
      >
        <TextField
          label="Text"
          placeholder={"DATABASE_URL=postgres://…\nLOG_LEVEL=info"}
          spellCheck={false}
          autoFocus
          value={text}
          onChange={(event) => setText(event.target.value)}
        />
        {unread.length > 0 && (
          <p className="text-warn">
            Not understood, and left out: {unread.length === 1 ? "line" : "lines"} {unread.join(", ")}
          </p>
        )}
        {pairs.length > 0 && (
          <fieldset className="space-y-2">
            <legend className="mb-2 text-muted">
              {pairs.length} to set, {replaced} of them there already. Tick those that nobody is to be shown
              again:
            </legend>
            <ul className="max-h-52 space-y-1.5 overflow-y-auto">
              {pairs.map(({ name }) => (
                <li key={name}>
                  <label className="flex items-center gap-2.5">
                    <input
                      type="checkbox"
                      className="size-4 accent-solid"
                      checked={isSecret(name)}
                      onChange={(event) => setSecrets({ ...secrets, [name]: event.target.checked })}
                    />
                    <span className="font-mono text-[0.8125rem]">{name}</span>
                    {isThere(name) && <span className="text-xs text-warn">replaces the value it has</span>}
                  </label>
                </li>
              ))}
            </ul>
          </fieldset>
        )}
        <ProblemNote error={call.error} />
        <div className="flex justify-end gap-2">
          <Button onClick={onClose}>Cancel</Button>
          <Button type="submit" look="primary" disabled={pairs.length === 0} busy={call.isPending}>
            Set {pairs.length > 0 ? pairs.length : ""} {pairs.length === 1 ? "variable" : "variables"}
          </Button>
        </div>
      </form>
    </Dialog>
  );
}
