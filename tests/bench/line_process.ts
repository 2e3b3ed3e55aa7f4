import { type Memory, memoryOf, processorMsOf } from "./process_usage.ts";

/** A line of JSON that a bench's process prints or reads. */
export type Line = Readonly<Record<string, unknown>>;

/** A process that receives commands and reports results as lines of JSON. */
export class LineProcess implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  readonly #input: WritableStreamDefaultWriter<Uint8Array>;
  readonly #lines: Line[] = [];
  #last = "";
  readonly #following: Promise<void>;
  #wake: () => void = () => {};
  #ended = false;

  private constructor(child: Deno.ChildProcess) {
    this.#child = child;
    this.#input = child.stdin.getWriter();
    this.#following = this.#follow();
  }

  /** Starts a program, and passes on its standard error. The program ends with this process. */
  static start(argv: readonly string[]): LineProcess {
    const args = ["--pdeathsig", "KILL", ...argv];
    return new LineProcess(
      new Deno.Command("setpriv", { args, stdin: "piped", stdout: "piped", stderr: "inherit" }).spawn(),
    );
  }

  /** Starts a module of this repository. */
  static module(url: URL, args: readonly string[] = []): LineProcess {
    return LineProcess.start([Deno.execPath(), "run", "--allow-all", "--no-check", url.pathname, ...args]);
  }

  get pid(): number {
    return this.#child.pid;
  }

  /** Sends a line to the process. */
  async send(line: Line): Promise<void> {
    await this.#input.write(new TextEncoder().encode(`${JSON.stringify(line)}\n`));
  }

  /** Returns the first line with this event, as soon as it arrives. */
  async event(name: string): Promise<Line> {
    for (;;) {
      const index = this.#lines.findIndex(({ event }) => event === name);
      const [found] = index < 0 ? [] : this.#lines.splice(index, 1);
      if (found !== undefined) return found;
      if (this.#ended) throw new Error(`The process ended without the event "${name}": ${this.#last}`);
      await new Promise<void>((resolve) => this.#wake = resolve);
    }
  }

  async memory(): Promise<Memory> {
    return await memoryOf(await this.#runningPid());
  }

  /** The processor time that the process has used so far, milliseconds. */
  async processorMs(): Promise<number> {
    return await processorMsOf(await this.#runningPid());
  }

  async #runningPid(): Promise<number> {
    if (!this.#ended) return this.pid;
    const { code, signal } = await this.#child.status;
    throw new Error(`The process ended with ${signal ?? code}: ${this.#last}`);
  }

  async #follow(): Promise<void> {
    let rest = "";
    for await (const text of this.#child.stdout.pipeThrough(new TextDecoderStream())) {
      const lines = (rest + text).split("\n");
      rest = lines.pop() ?? "";
      this.#last = lines.at(-1) ?? this.#last;
      this.#lines.push(...lines.filter((line) => line.startsWith("{")).map((line) => JSON.parse(line) as Line));
      this.#wake();
    }
    this.#ended = true;
    this.#wake();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      this.#child.kill("SIGKILL");
    } catch {
      // It has ended already.
    }
    await this.#input.close().catch(() => {});
    await this.#child.status;
    await this.#following;
  }
}

/** The lines that the parent process sent, one after the other. */
export async function* toldLines(): AsyncGenerator<Line> {
  let rest = "";
  for await (const text of Deno.stdin.readable.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + text).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) yield JSON.parse(line);
  }
}

/** Sends a line to the parent process. */
export function tell(line: Line): void {
  const bytes = new TextEncoder().encode(`${JSON.stringify(line)}\n`);
  for (let sent = 0; sent < bytes.length;) sent += Deno.stdout.writeSync(bytes.subarray(sent));
}
