import { waitUntil } from "./wait_until.ts";

/** One entry of a VM's journal. */
export interface JournalEntry {
  readonly time: Date;
  /** The ID of the boot during which it was written. */
  readonly boot: string;
  /** The unit that wrote the entry, or that the entry is about; empty when there is none. */
  readonly unit: string;
  /** The name that the program logs under, such as `kernel`. */
  readonly identifier: string;
  /** 0 (emergency) to 7 (debug), as in syslog. */
  readonly priority: number;
  readonly message: string;
}

/** What {@linkcode Journal.waitFor} waits for. */
export interface JournalWait {
  /** A noun for the awaited entry, which becomes part of the error. */
  readonly what: string;
  readonly deadlineMs: number;
  readonly match: (entry: JournalEntry) => boolean;
  /** Entries before this position are ignored; an earlier call of `position()` returned it. */
  readonly since?: number;
}

/** A VM's journal as this machine receives it while the VM runs. It covers all boots of the VM. */
export class Journal {
  readonly #path: string;
  readonly #entries: JournalEntry[] = [];
  #offset = 0;
  #partial = new Uint8Array();
  #reading: Promise<void> = Promise.resolve();

  /** @param path the file to which the VM's journal port is connected, with one JSON object on each line */
  constructor(path: string) {
    this.#path = path;
  }

  async entries(): Promise<readonly JournalEntry[]> {
    this.#reading = this.#reading.catch(() => undefined).then(() => this.#read());
    await this.#reading;
    return this.#entries;
  }

  /** The number of entries that have arrived. */
  async position(): Promise<number> {
    return (await this.entries()).length;
  }

  /**
   * Waits for an entry. It may have arrived before the call.
   *
   * @throws Error when no entry matches by the deadline; the error shows the last entry that arrived.
   */
  async waitFor({ what, deadlineMs, match, since = 0 }: JournalWait): Promise<JournalEntry> {
    let next = since;
    return await waitUntil({ what, deadlineMs }, async ({ saw }) => {
      const entries = await this.entries();
      const last = entries.at(-1);
      saw(last === undefined ? "nothing in the journal" : `${last.identifier}: ${last.message}`);
      for (; next < entries.length; next++) {
        const entry = entries[next];
        if (entry && match(entry)) return entry;
      }
      return undefined;
    });
  }

  async #read(): Promise<void> {
    const file = await Deno.open(this.#path).catch((error) => {
      if (error instanceof Deno.errors.NotFound) return undefined;
      throw error;
    });
    if (!file) return;
    using opened = file;
    await opened.seek(this.#offset, Deno.SeekMode.Start);
    const buffer = new Uint8Array(readBytes);
    for (let count = await opened.read(buffer); count !== null; count = await opened.read(buffer)) {
      this.#offset += count;
      this.#take(buffer.subarray(0, count));
    }
  }

  #take(chunk: Uint8Array): void {
    const bytes = new Uint8Array(this.#partial.length + chunk.length);
    bytes.set(this.#partial);
    bytes.set(chunk, this.#partial.length);
    const end = bytes.lastIndexOf(newline) + 1;
    this.#partial = bytes.slice(end);
    for (const line of new TextDecoder().decode(bytes.subarray(0, end)).split("\n")) {
      const entry = parseEntry(line);
      if (entry) this.#entries.push(entry);
    }
  }
}

const newline = 0x0a;
const readBytes = 1 << 20;

/** Undefined for an incomplete line: the VM was killed while it wrote it. */
function parseEntry(line: string): JournalEntry | undefined {
  const fields = parseObject(line);
  if (!fields) return undefined;
  return {
    time: new Date(Number(textOf(fields.__REALTIME_TIMESTAMP)) / 1000),
    boot: textOf(fields._BOOT_ID),
    unit: textOf(fields.UNIT) || textOf(fields._SYSTEMD_UNIT),
    identifier: textOf(fields.SYSLOG_IDENTIFIER),
    priority: Number(textOf(fields.PRIORITY)),
    message: textOf(fields.MESSAGE),
  };
}

function parseObject(line: string): Record<string, unknown> | undefined {
  if (!line.startsWith("{")) return undefined;
  try {
    return JSON.parse(line);
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

/** A field is a string, an array of bytes when it is not UTF-8 or has control characters, or an array of values. */
function textOf(value: unknown): string {
  if (typeof value === "string") return value;
  if (!Array.isArray(value)) return "";
  if (value.every((byte) => typeof byte === "number")) return new TextDecoder().decode(Uint8Array.from(value));
  return value.map(textOf).join(" ");
}
