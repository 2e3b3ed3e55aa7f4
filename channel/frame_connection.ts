import { BootstrapError } from "../platform/errors.ts";
import type { FrameForm, FrameLimits } from "./relay_frames.ts";
import { HEADER_BYTES } from "./relay_frames.ts";

/** Frames of this length or less are not counted in a total: the connection itself costs as much. */
const UNCOUNTED_BYTES = 256;
/**
 * How many bytes are read ahead: a header mostly comes with its frame, and small frames come together. They are few for
 * each connection, and not counted in a total.
 */
const AHEAD_BYTES = 1024;
/** How long the other end may take to accept a frame, milliseconds. */
const WRITE_DEADLINE_MS = 15_000;

/** A bound on the bytes that are read for all connections of a process. */
export class ByteTotal {
  readonly #most: number;
  #taken = 0;

  /** Starts with nothing taken. */
  constructor(most: number) {
    this.#most = most;
  }

  /** Takes bytes; returns whether there were so many. */
  take(length: number): boolean {
    if (this.#taken + length > this.#most) return false;
    this.#taken += length;
    return true;
  }

  /** Gives bytes back. */
  give(length: number): void {
    this.#taken -= length;
  }

  /** The bytes that are taken. */
  get taken(): number {
    return this.#taken;
  }
}

/** The parts of a {@linkcode FrameConnection}. */
export interface FrameConnectionParts<Incoming, Outgoing> {
  readonly conn: Deno.Conn;
  readonly incoming: FrameForm<Incoming>;
  readonly outgoing: FrameForm<Outgoing>;
  /** Looked at for each frame. */
  readonly limits: FrameLimits;
  /** Bounds what is read for all connections. Default: no bound but the limits. */
  readonly total?: ByteTotal;
}

/** A connection of frames. Disposing ends it. */
export class FrameConnection<Incoming, Outgoing> implements Disposable {
  readonly #parts: FrameConnectionParts<Incoming, Outgoing>;
  #writing: Promise<void> = Promise.resolve();
  #held = 0;
  #isClosed = false;
  /** What was read ahead and is not used yet: from `#used` to `#filled`. */
  readonly #ahead = new Uint8Array(AHEAD_BYTES);
  #used = 0;
  #filled = 0;

  /** Takes over a connection. */
  constructor(parts: FrameConnectionParts<Incoming, Outgoing>) {
    this.#parts = parts;
  }

  /**
   * Reads the next frame; one call at a time.
   *
   * @returns The frame, or `undefined` if the connection has ended between two frames, or inside one.
   * @throws {BootstrapError} `malformed/relay-frame`, `unavailable/busy` if the bytes of all connections are used up.
   */
  async next(): Promise<Incoming | undefined> {
    const { incoming, limits } = this.#parts;
    const header = await this.#read(HEADER_BYTES);
    if (header === undefined) return undefined;
    const { type, length } = incoming.readHeader(header, limits);
    this.#hold(length);
    const payload = await this.#read(length);
    return payload && incoming.read(type, payload);
  }

  /**
   * Sends a frame, after those before it. If the other end does not accept it in time, the connection ends.
   *
   * @throws {BootstrapError} `unavailable/relay`.
   */
  write(frame: Outgoing): Promise<void> {
    const bytes = this.#parts.outgoing.encode(frame);
    const written = this.#writing.then(() => this.#write(bytes));
    this.#writing = written.catch(() => {});
    return written;
  }

  /** Ends the connection. */
  [Symbol.dispose](): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#parts.total?.give(this.#held);
    this.#held = 0;
    try {
      this.#parts.conn.close();
    } catch {
      // The runtime has closed it already.
    }
  }

  /** The bytes of a frame count until the next one arrives. */
  #hold(length: number): void {
    const { total } = this.#parts;
    if (total === undefined || this.#isClosed) return;
    total.give(this.#held);
    this.#held = 0;
    if (length <= UNCOUNTED_BYTES) return;
    if (!total.take(length)) {
      throw new BootstrapError("unavailable/busy", "Too many bytes wait for this process", { retryAfterSeconds: 5 });
    }
    this.#held = length;
  }

  async #read(length: number): Promise<Uint8Array | undefined> {
    const bytes = new Uint8Array(length);
    for (let filled = this.#takeAhead(bytes); filled < length;) {
      const rest = bytes.subarray(filled);
      const isLong = rest.length >= AHEAD_BYTES;
      const count = await this.#readInto(isLong ? rest : this.#ahead);
      if (count === undefined) return undefined;
      if (!isLong) [this.#used, this.#filled] = [0, count];
      filled += isLong ? count : this.#takeAhead(rest);
    }
    return bytes;
  }

  /** Fills bytes from what was read ahead, and returns how many. */
  #takeAhead(bytes: Uint8Array): number {
    const taken = this.#ahead.subarray(this.#used, Math.min(this.#filled, this.#used + bytes.length));
    bytes.set(taken);
    this.#used += taken.length;
    return taken.length;
  }

  /** Reads what is there. Returns how many bytes; `undefined` at the end. */
  async #readInto(bytes: Uint8Array): Promise<number | undefined> {
    try {
      return await this.#parts.conn.read(bytes) ?? undefined;
    } catch {
      return undefined;
    }
  }

  async #write(bytes: Uint8Array): Promise<void> {
    if (this.#isClosed) throw gone();
    const timer = setTimeout(() => this[Symbol.dispose](), WRITE_DEADLINE_MS);
    try {
      for (let written = 0; written < bytes.length;) {
        written += await this.#parts.conn.write(bytes.subarray(written));
      }
    } catch (cause) {
      this[Symbol.dispose]();
      throw gone(cause);
    } finally {
      clearTimeout(timer);
    }
  }
}

function gone(cause?: unknown): BootstrapError {
  return new BootstrapError("unavailable/relay", "The other end of a front's socket is gone", { cause });
}
