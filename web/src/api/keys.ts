/** For how long a change whose outcome is unknown keeps its key, and how many do at most. */
const KEPT_MS = 10 * 60_000;
const KEPT_MAX = 20;

interface Kept {
  key: string;
  until: number;
}

/** A key under which a change takes effect once, however often it is sent. */
export function freshKey(): string {
  // Not crypto.randomUUID: browsers have that over HTTPS only.
  const octets = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(octets, (octet) => octet.toString(16).padStart(2, "0")).join("");
}

/**
 * The keys of changes whose outcome is unknown. Whoever sends such a change once more means the same one, and gets its answer
 * where it has taken effect.
 */
export class Keys {
  private readonly kept = new Map<string, Kept>();

  /** The key to send a change under. */
  of(change: string, now = Date.now()): string {
    const kept = this.kept.get(change);
    return kept !== undefined && now < kept.until ? kept.key : freshKey();
  }

  /** Nobody knows whether the change took effect. */
  keep(change: string, key: string, now = Date.now()) {
    this.kept.delete(change);
    this.kept.set(change, { key, until: now + KEPT_MS });
    const [oldest] = this.kept.keys();
    if (this.kept.size > KEPT_MAX && oldest !== undefined) this.kept.delete(oldest);
  }

  /** The change took effect, or was refused. */
  forget(change: string) {
    this.kept.delete(change);
  }
}
