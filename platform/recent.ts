/** The bounds of {@linkcode Recent}. */
export interface RecentBounds {
  /** How long a note is remembered, milliseconds. */
  readonly ageMs: number;
  /** How many keys are remembered. The oldest is forgotten first. */
  readonly maximum: number;
}

/** What was last noted of some keys, such as peers' addresses: the newest, for a time. */
export class Recent<Note> {
  readonly #bounds: RecentBounds;
  /** The oldest first. */
  readonly #notes = new Map<string, { readonly note: Note; readonly atMs: number }>();

  /** Starts without notes. */
  constructor(bounds: RecentBounds) {
    this.#bounds = bounds;
  }

  /** Returns what was last noted of a key, unless that is too old. */
  get(key: string, nowMs: number): Note | undefined {
    const found = this.#notes.get(key);
    return found === undefined || nowMs - found.atMs >= this.#bounds.ageMs ? undefined : found.note;
  }

  /** Notes something in the place of what was noted before. */
  set(key: string, note: Note, nowMs: number): void {
    const { ageMs, maximum } = this.#bounds;
    this.#notes.delete(key);
    this.#notes.set(key, { note, atMs: nowMs });
    for (const [oldest, { atMs }] of this.#notes) {
      if (nowMs - atMs < ageMs && this.#notes.size <= maximum) break;
      this.#notes.delete(oldest);
    }
  }

  /** Forgets a key. */
  delete(key: string): void {
    this.#notes.delete(key);
  }
}
