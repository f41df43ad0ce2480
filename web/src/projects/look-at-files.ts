import { useMutation } from "@tanstack/react-query";
import { useState } from "react";
import type { Detection } from "@/api/types";
import { detect } from "@/detections/detect";
import type { Files } from "./chosen";
import { sendFiles } from "./deploy-files";

interface Looked {
  digest: string;
  detection?: Detection;
  /** Why nothing was found, in what has been sent all the same. */
  problem?: unknown;
}

/** Sends files and has them looked at. */
export function useLookAtFiles() {
  const [progress, setProgress] = useState(0);
  const mutation = useMutation({
    mutationFn: async (files: Files): Promise<Looked> => {
      const digest = await sendFiles(files, setProgress);
      try {
        return { digest, detection: await detect({ type: "upload", digest }) };
      } catch (problem) {
        return { digest, problem };
      }
    },
    onSettled: () => setProgress(0),
  });
  return { ...mutation, progress };
}
