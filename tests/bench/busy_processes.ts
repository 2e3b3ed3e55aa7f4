const SPIN = "while :; do :; done";

/** Processes that do nothing but use their cores. They end when this is disposed of, or with this process. */
export class BusyProcesses implements AsyncDisposable {
  readonly #children: readonly Deno.ChildProcess[];

  private constructor(children: readonly Deno.ChildProcess[]) {
    this.#children = children;
  }

  /** Starts that many processes. Alone, they raise the load average to their number within minutes. */
  static start(count: number): BusyProcesses {
    const args = ["--pdeathsig", "KILL", "sh", "-c", SPIN];
    const streams = { stdin: "null", stdout: "null", stderr: "null" } as const;
    return new BusyProcesses(
      Array.from({ length: count }, () => new Deno.Command("setpriv", { args, ...streams }).spawn()),
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const child of this.#children) child.kill("SIGKILL");
    await Promise.all(this.#children.map((child) => child.status));
  }
}
