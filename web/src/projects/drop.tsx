import { FolderUp } from "lucide-react";
import { useRef, useState } from "react";
import { Button } from "@/ui/button";
import { classes } from "@/ui/classes";
import { ProblemNote } from "@/ui/problem-note";
import { chosenOf, type Chosen } from "./chosen";
import { chosenFiles, droppedFiles, type TreeFile } from "./tree";

/** Where a folder is dropped, or chosen. */
export function Drop({ onChosen }: { onChosen: (chosen: Chosen) => void }) {
  const [over, setOver] = useState(false);
  const [failure, setFailure] = useState<unknown>();
  const input = useRef<HTMLInputElement>(null);
  const take = async (finding: Promise<TreeFile[]>) => {
    setFailure(undefined);
    try {
      onChosen(chosenOf(await finding));
    } catch (error) {
      setFailure(error);
    }
  };
  return (
    <>
      <div
        className={classes(
          "flex flex-col items-center gap-3 rounded-md border border-dashed p-6 text-center text-muted",
          over ? "border-accent bg-raised" : "border-edge",
        )}
        onDragOver={(event) => {
          event.preventDefault();
          setOver(true);
        }}
        onDragLeave={() => setOver(false)}
        onDrop={(event) => {
          event.preventDefault();
          setOver(false);
          void take(droppedFiles(event.dataTransfer.items));
        }}
      >
        <FolderUp className="size-6" aria-hidden />
        <p>Drop a folder or a .tar.gz here</p>
        <Button onClick={() => input.current?.click()}>Choose a folder</Button>
        <input
          ref={input}
          type="file"
          className="hidden"
          aria-label="Folder to deploy"
          multiple
          {...{ webkitdirectory: "" }}
          onChange={({ target }) => target.files && void take(Promise.resolve(chosenFiles(target.files)))}
        />
      </div>
      <ProblemNote error={failure} />
    </>
  );
}
