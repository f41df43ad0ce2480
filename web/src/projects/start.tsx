import { Rocket } from "lucide-react";
import { Button } from "@/ui/button";
import { Card, CardBody } from "@/ui/card";
import { Line } from "@/ui/copy";
import { ProblemNote } from "@/ui/problem-note";
import { FromGit } from "./from-git";
import { FromUpload } from "./from-upload";
import { sampleFiles } from "./sample";
import { useDeployFiles } from "./deploy-files";

/** The ways to a first deployment. */
export function Start() {
  return (
    <div className="grid gap-4 lg:grid-cols-2">
      <FromGit />
      <FromUpload />
      <Sample />
      <Card title="From your terminal" about="In the folder of your app; it prints the address at the end.">
        <CardBody className="space-y-2">
          <Line text={`temps login ${window.location.origin}`} what="the line that logs in" />
          <Line text="temps deploy" what="the line that deploys" />
        </CardBody>
      </Card>
    </div>
  );
}

function Sample() {
  const deploy = useDeployFiles();
  return (
    <Card
      title="A sample"
      about="One page, deployed as a static site, to see how it goes. Delete it whenever you like."
    >
      <CardBody className="space-y-3">
        <Button
          look="primary"
          busy={deploy.isPending}
          onClick={() => deploy.mutate({ name: "sample", files: sampleFiles(), anew: true })}
        >
          <Rocket aria-hidden /> Deploy the sample
        </Button>
        <ProblemNote error={deploy.error} />
      </CardBody>
    </Card>
  );
}
