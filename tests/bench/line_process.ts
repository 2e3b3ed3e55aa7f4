/** A line of JSON that a process of a bench prints or reads. */
export type Line = Readonly<Record<string, unknown>>;

/** Memory of a process, MB: the most that it has had at once (`VmHWM`, proc(5)), and what it has now (`VmRSS`). */
export interface Memory {
  readonly peakMb: number;
  readonly nowMb: number;
}

/** The memory of a process, by its ID. */
export async function memoryOf(pid: number): Promise<Memory> {
  const status = await Deno.readTextFile(`/proc/${pid}/status`);
  const megabytes = (key: string) =>
    Number(new RegExp(`^${key}:\\s+(\\d+) kB$`, "m").exec(status)?.[1] ?? NaN) * 1024 / 1e6;
  return { peakMb: megabytes("VmHWM"), nowMb: megabytes("VmRSS") };
}

/** A process that is told what to do, and says what it did, in lines of JSON. */
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

  /** Starts a program; what it prints to standard error is shown. It ends with this process. */
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

  /** Its process ID. */
  get pid(): number {
    return this.#child.pid;
  }

  /** Tells it something. */
  async send(line: Line): Promise<void> {
    await this.#input.write(new TextEncoder().encode(`${JSON.stringify(line)}\n`));
  }

  /** Takes the first line with this event, as soon as there is one. */
  async event(name: string): Promise<Line> {
    for (;;) {
      const index = this.#lines.findIndex(({ event }) => event === name);
      const [found] = index < 0 ? [] : this.#lines.splice(index, 1);
      if (found !== undefined) return found;
      if (this.#ended) throw new Error(`The process ended without the event "${name}": ${this.#last}`);
      await new Promise<void>((resolve) => this.#wake = resolve);
    }
  }

  /** Its memory. */
  async memory(): Promise<Memory> {
    if (!this.#ended) return await memoryOf(this.pid);
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

  /** Ends it. */
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

/** What the process at the other end was told, one after the other. */
export async function* toldLines(): AsyncGenerator<Line> {
  let rest = "";
  for await (const text of Deno.stdin.readable.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + text).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) yield JSON.parse(line);
  }
}

/** Says something to the process that started this one. */
export function tell(line: Line): void {
  const bytes = new TextEncoder().encode(`${JSON.stringify(line)}\n`);
  for (let sent = 0; sent < bytes.length;) sent += Deno.stdout.writeSync(bytes.subarray(sent));
}
