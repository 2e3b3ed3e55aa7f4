/** The number of keys that are remembered. The oldest is forgotten first. */
const MAXIMUM_KEYS = 8_192;

/** What was last noted of some keys, such as peers' addresses: the newest few thousand, for a time. */
export class Recent<Note> {
  readonly #ageMs: number;
  /** The oldest first. */
  readonly #notes = new Map<string, { readonly note: Note; readonly atMs: number }>();

  /** Starts without notes. */
  constructor(ageMs: number) {
    this.#ageMs = ageMs;
  }

  /** Returns what was last noted of a key, unless that is too old. */
  get(key: string, nowMs: number): Note | undefined {
    const found = this.#notes.get(key);
    return found === undefined || nowMs - found.atMs >= this.#ageMs ? undefined : found.note;
  }

  /** Notes something in the place of what was noted before. */
  set(key: string, note: Note, nowMs: number): void {
    this.#notes.delete(key);
    this.#notes.set(key, { note, atMs: nowMs });
    for (const [oldest, { atMs }] of this.#notes) {
      if (nowMs - atMs < this.#ageMs && this.#notes.size <= MAXIMUM_KEYS) break;
      this.#notes.delete(oldest);
    }
  }

  /** Forgets a key. */
  delete(key: string): void {
    this.#notes.delete(key);
  }
}
