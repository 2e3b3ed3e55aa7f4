import { Patience } from "./patience.ts";

const lookEveryMs = 250;

/** A connection to a Unix socket on which each side sends one JSON object a line. */
export class JsonLines implements AsyncDisposable {
  readonly #connection: Deno.Conn;
  readonly #decoder = new TextDecoder();
  readonly #patience: Patience;
  readonly #timer: ReturnType<typeof setInterval>;
  #received = "";
  #open = true;

  private constructor(connection: Deno.Conn, deadlineMs: number) {
    this.#connection = connection;
    this.#patience = new Patience(deadlineMs);
    this.#timer = setInterval(() => this.#patience.isOver() && this.#close(), lookEveryMs);
  }

  /**
   * Connects. The connection is closed after `deadlineMs` of the quiet reference machine, which ends every pending
   * `receive()`.
   */
  static async connect(path: string, deadlineMs: number): Promise<JsonLines> {
    return new JsonLines(await Deno.connect({ transport: "unix", path }), deadlineMs);
  }

  async send(message: unknown): Promise<void> {
    let bytes = new TextEncoder().encode(`${JSON.stringify(message)}\n`);
    while (bytes.length > 0) bytes = bytes.subarray(await this.#connection.write(bytes));
  }

  /**
   * Returns the result of `accept` for the first message for which it is defined; earlier messages are dropped.
   *
   * @throws Error when the connection ends first.
   */
  async receive<T>(accept: (message: Record<string, unknown>) => T | undefined): Promise<T> {
    const buffer = new Uint8Array(receiveBytes);
    for (;;) {
      const end = this.#received.indexOf("\n");
      if (end >= 0) {
        const line = this.#received.slice(0, end);
        this.#received = this.#received.slice(end + 1);
        const accepted = accept(JSON.parse(line));
        if (accepted !== undefined) return accepted;
        continue;
      }
      const count = this.#open ? await this.#connection.read(buffer).catch(() => null) : null;
      if (count === null) throw new Error(`Cannot receive as the connection has ended ${this.#patience.text}`);
      this.#received += this.#decoder.decode(buffer.subarray(0, count), { stream: true });
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer);
    this.#close();
    await this.#patience[Symbol.asyncDispose]();
  }

  #close(): void {
    if (this.#open) this.#connection.close();
    this.#open = false;
  }
}

const receiveBytes = 1 << 16;
