import type { Detection } from "@/api/types";

/** What a build gives, in words. */
export function outputOf({ output }: Pick<Detection, "output">): string {
  if (output.type === "image") return "A container image";
  return output.directory === ""
    ? "A static site of the whole folder"
    : `A static site of ${output.directory}`;
}

/** Where the app is to listen; nothing for static sites, which do not. */
export function portOf({ port, port_assumed }: Pick<Detection, "port" | "port_assumed">): string | undefined {
  if (port === null || port === undefined) return undefined;
  return port_assumed ? `${port}, or the only one it listens on` : String(port);
}
