import { nameFrom } from "./names";
import { belowCommonFolder, type TreeFile } from "./tree";

/** Files, or an archive of some. */
export type Files = TreeFile[] | Blob;

/** A folder, or an archive of one, that somebody chose to deploy. */
export interface Chosen {
  /** What a project of it could be called. */
  name: string;
  /** What it is, in a word or two. */
  what: string;
  files: Files;
}

const ARCHIVE = /\.(tar\.gz|tgz|tar\.zst)$/;

/** What was chosen, of the files that were found; throws where there are none. */
export function chosenOf(found: TreeFile[]): Chosen {
  const [first] = found;
  if (found.length === 1 && first !== undefined && ARCHIVE.test(first.path)) {
    return { name: nameFrom(first.path.replace(ARCHIVE, "")), what: first.path, files: first.content };
  }
  const { folder, files } = belowCommonFolder(found);
  if (files.length === 0) throw new Error("there is no file in that folder");
  const what = `${files.length} ${files.length === 1 ? "file" : "files"}`;
  return { name: nameFrom(folder ?? "app"), what, files };
}
