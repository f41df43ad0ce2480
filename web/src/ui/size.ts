const KIB = 1_024;
const MIB = KIB * KIB;
const GIB = KIB * MIB;

/** An amount of memory, or of what is sent: `312 B`, `812 KiB`, `37 MiB`, `1.5 GiB`. */
export function size(bytes: number): string {
  if (bytes < KIB) return `${bytes} B`;
  if (bytes < MIB) return `${Math.round(bytes / KIB)} KiB`;
  if (bytes < GIB) return `${Math.round(bytes / MIB)} MiB`;
  return `${(bytes / GIB).toFixed(1)} GiB`;
}
