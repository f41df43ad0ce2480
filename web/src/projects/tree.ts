/** A file of a folder that is to be deployed. */
export interface TreeFile {
  /** Its path in the folder, with `/` between. */
  path: string;
  content: Blob;
}

/** What builds make by themselves, or what nobody else should have. */
const LEFT_OUT = new Set([".git", "node_modules", ".temps", ".DS_Store", "__pycache__", ".venv", "target"]);
const FILES_MAX = 20_000;

/** Whether a path belongs to what is sent. */
export function isSent(path: string): boolean {
  return !path.split("/").some((step) => LEFT_OUT.has(step));
}

/** Takes away the folder that all files are in, if they are in one. */
export function belowCommonFolder(files: TreeFile[]): { folder?: string; files: TreeFile[] } {
  const folder = files[0]?.path.split("/")[0];
  const common = folder !== undefined && files.every(({ path }) => path.startsWith(`${folder}/`));
  if (!common) return { files };
  return { folder, files: files.map((file) => ({ ...file, path: file.path.slice(folder.length + 1) })) };
}

/** The files of what was dropped, folders and all. */
export async function droppedFiles(items: DataTransferItemList): Promise<TreeFile[]> {
  // They are gone once the event is over, so all are taken first.
  const entries = [...items].map((item) => item.webkitGetAsEntry()).filter((entry) => entry !== null);
  const files: TreeFile[] = [];
  for (const entry of entries) await walk(entry, "", files);
  return files;
}

/** The files of what was chosen by `<input webkitdirectory>`. */
export function chosenFiles(list: FileList): TreeFile[] {
  const files = [...list].map((file) => ({ path: file.webkitRelativePath || file.name, content: file }));
  return files.filter(({ path }) => isSent(path));
}

async function walk(entry: FileSystemEntry, above: string, files: TreeFile[]): Promise<void> {
  const path = above + entry.name;
  if (!isSent(path)) return;
  if (files.length >= FILES_MAX) throw new Error(`the folder has more than ${FILES_MAX} files`);
  if (entry.isFile) {
    const file = await new Promise<File>((resolve, reject) =>
      (entry as FileSystemFileEntry).file(resolve, reject),
    );
    files.push({ path, content: file });
    return;
  }
  const reader = (entry as FileSystemDirectoryEntry).createReader();
  for (;;) {
    // A reader gives a hundred at a time, and none once it has given all.
    const some = await new Promise<FileSystemEntry[]>((resolve, reject) =>
      reader.readEntries(resolve, reject),
    );
    if (some.length === 0) return;
    for (const one of some) await walk(one, `${path}/`, files);
  }
}
