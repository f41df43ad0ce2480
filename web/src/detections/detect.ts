import { api, unwrap } from "@/api/client";
import type { Detection, NewSource } from "@/api/types";

/** Has the node look at a source as a build would; nothing is built. */
export function detect(source: NewSource): Promise<Detection> {
  return unwrap(api.POST("/api/detections", { body: { source } }));
}
