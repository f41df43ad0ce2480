import { FolderUp } from "lucide-react";
import { useRef, useState } from "react";
import { Found } from "@/detections/found";
import { Looking } from "@/detections/looking";
import { Button } from "@/ui/button";
import { Card, CardBody } from "@/ui/card";
import { classes } from "@/ui/classes";
import { Field } from "@/ui/field";
import { ProblemNote } from "@/ui/problem-note";
import { useDeployFiles, type Files } from "./deploy-files";
import { useLookAtFiles } from "./look-at-files";
import { nameFrom } from "./names";
import { belowCommonFolder, chosenFiles, droppedFiles, type TreeFile } from "./tree";

const ARCHIVE = /\.(tar\.gz|tgz|tar\.zst)$/;

export function FromUpload() {
  const [chosen, setChosen] = useState<string>();
  const [name, setName] = useState("");
  const [failure, setFailure] = useState<unknown>();
  const look = useLookAtFiles();
  const deploy = useDeployFiles();
  const begin = (files: Files, what: string) => {
    setChosen(what);
    look.mutate(files);
  };
  const startAnew = () => {
    setChosen(undefined);
    look.reset();
    deploy.reset();
  };
  const take = (found: TreeFile[]) => {
    const archive = found.length === 1 && ARCHIVE.test(found[0]?.path ?? "") ? found[0] : undefined;
    const { folder, files } = belowCommonFolder(found);
    if (files.length === 0) return setFailure(new Error("there is no file in that folder"));
    setFailure(undefined);
    setName(nameFrom(archive?.path.replace(ARCHIVE, "") ?? folder ?? "app"));
    const what = archive?.path ?? `${files.length} ${files.length === 1 ? "file" : "files"}`;
    begin(archive?.content ?? files, what);
  };
  return (
    <Card
      title="From a folder"
      about="Sent as it is, without node_modules and .git. You see what was found before anything is built."
    >
      <CardBody className="space-y-4">
        {chosen === undefined ? (
          <Drop onFiles={take} onFailure={setFailure} />
        ) : (
          <form
            className="space-y-4"
            onSubmit={(event) => {
              event.preventDefault();
              if (look.data !== undefined) deploy.mutate({ name, files: look.data.digest });
            }}
          >
            <Field
              label="Name"
              hint={chosen}
              value={name}
              required
              onChange={(event) => setName(event.target.value)}
            />
            {look.isPending && look.progress < 1 && <Looking what="Sending it…" progress={look.progress} />}
            {look.isPending && look.progress >= 1 && <Looking what="Looking at it…" />}
            {look.data?.detection && <Found detection={look.data.detection} />}
            <ProblemNote error={look.error ?? look.data?.problem} />
            <div className="flex gap-2">
              <Button
                type="submit"
                look={look.data?.problem === undefined ? "primary" : "plain"}
                disabled={look.data === undefined}
                busy={deploy.isPending}
              >
                {look.data?.problem === undefined ? "Deploy" : "Deploy it all the same"}
              </Button>
              <Button onClick={startAnew}>Another folder</Button>
            </div>
          </form>
        )}
        <ProblemNote error={failure ?? deploy.error} />
      </CardBody>
    </Card>
  );
}

interface DropProps {
  onFiles: (files: TreeFile[]) => void;
  onFailure: (error: unknown) => void;
}

function Drop({ onFiles, onFailure }: DropProps) {
  const [over, setOver] = useState(false);
  const input = useRef<HTMLInputElement>(null);
  return (
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
        droppedFiles(event.dataTransfer.items).then(onFiles, onFailure);
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
        onChange={(event) => event.target.files && onFiles(chosenFiles(event.target.files))}
      />
    </div>
  );
}
