import { useState } from "react";
import { Found } from "@/detections/found";
import { Looking } from "@/detections/looking";
import { Button } from "@/ui/button";
import { Card, CardBody } from "@/ui/card";
import { Field } from "@/ui/field";
import { ProblemNote } from "@/ui/problem-note";
import type { Chosen } from "./chosen";
import { useDeployFiles } from "./deploy-files";
import { Drop } from "./drop";
import { useLookAtFiles } from "./look-at-files";

export function FromUpload() {
  const [chosen, setChosen] = useState<string>();
  const [name, setName] = useState("");
  const look = useLookAtFiles();
  const deploy = useDeployFiles();
  const startAnew = () => {
    setChosen(undefined);
    look.reset();
    deploy.reset();
  };
  const take = ({ name, what, files }: Chosen) => {
    setName(name);
    setChosen(what);
    look.mutate(files);
  };
  return (
    <Card
      title="From a folder"
      about="Sent as it is, without node_modules and .git. You see what was found before anything is built."
    >
      <CardBody className="space-y-4">
        {chosen === undefined ? (
          <Drop onChosen={take} />
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
        <ProblemNote error={deploy.error} />
      </CardBody>
    </Card>
  );
}
