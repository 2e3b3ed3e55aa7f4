import { DENO_RUN } from "../../deno_run.ts";
import { Overdue, waitUntil } from "../../e2e/wait_until.ts";
import type { NodeCommandResult, NodeProcess, WorldNode } from "../../world_node.ts";
import { repositoryRoot } from "../../world.ts";

/** A line of JSON that the program printed. */
export type PrintedEvent = Readonly<Record<string, unknown>>;

/** The fields that an event must have. */
export type EventPattern = Readonly<Record<string, unknown>>;

/** Longer than any step takes on a busy machine. */
export const PATIENCE_MS = 180_000;
const POLL_MS = 20;
/** Enough of a log to include its last lines. */
const LAST_CHARACTERS = 2_000;

/** The command line that runs the program, as a new user would type it. */
export const BOOTSTRAPPER: readonly [string, ...string[]] = [...DENO_RUN, `${repositoryRoot}/main.ts`];

/** The same `run`, for tests with failures; see `crash/_crashing_run.ts`. */
export const CRASHING_RUN: readonly [string, ...string[]] = [
  ...DENO_RUN,
  `${repositoryRoot}/tests/integration/crash/_crashing_run.ts`,
];

/** `join-service prover` with a software TPM. */
export const PROVER: readonly [string, ...string[]] = [
  ...DENO_RUN,
  `${repositoryRoot}/tests/integration/node/_prover_with_swtpm.ts`,
];

/** The program as a process on a node of the world. */
export class BootstrapperProcess {
  readonly #process: NodeProcess;
  #result: NodeCommandResult | undefined;

  private constructor(process: NodeProcess) {
    this.#process = process;
    process.ended.then((result) => this.#result = result);
  }

  /** Starts the program. `log` is the name of its log file. */
  static start(node: WorldNode, args: readonly string[], log: string): BootstrapperProcess {
    return BootstrapperProcess.startProgram(node, [...BOOTSTRAPPER, ...args], log);
  }

  /** Starts a program with the same kind of output as this one. */
  static startProgram(node: WorldNode, argv: readonly [string, ...string[]], log: string): BootstrapperProcess {
    return new BootstrapperProcess(node.start(argv, { log }));
  }

  /** Whether the process has ended. */
  get isOver(): boolean {
    return this.#result !== undefined;
  }

  /** All events so far. */
  async events(): Promise<readonly PrintedEvent[]> {
    const text = await Deno.readTextFile(this.#process.log).catch(() => "");
    return text.split("\n").slice(0, -1).map(readEvent).filter((event) => event !== undefined);
  }

  /** Returns the first event that matches the pattern, as soon as it is printed. */
  async event(pattern: EventPattern): Promise<PrintedEvent> {
    const what = `event ${JSON.stringify(pattern)} in ${this.#process.log}`;
    return await waitUntil({ what, deadlineMs: PATIENCE_MS, everyMs: POLL_MS }, async () => {
      const over = this.#result;
      const found = (await this.events()).find((event) => matches(event, pattern));
      if (found === undefined && over !== undefined) {
        throw new Error(`The process ended with ${over.code} and no ${what}:\n${over.output}`);
      }
      return found;
    });
  }

  /** Waits until the process ends by itself, and returns its exit code. */
  async exitCode(): Promise<number> {
    const what = `end of the process of ${this.#process.log}`;
    try {
      const isOver = () => Promise.resolve(this.#result !== undefined);
      await waitUntil({ what, deadlineMs: PATIENCE_MS, everyMs: POLL_MS }, isOver);
    } catch (error) {
      if (!(error instanceof Overdue)) throw error;
      const text = await Deno.readTextFile(this.#process.log).catch(() => "");
      throw new Overdue(`${error.message}; it said last:\n${text.slice(-LAST_CHARACTERS)}`);
    }
    return (await this.#process.ended).code;
  }

  /** Sends a signal to the process and everything that it started, and waits for its end. */
  async kill(signal: Deno.Signal = "SIGKILL"): Promise<number> {
    await this.#process.kill(signal);
    return await this.exitCode();
  }

  /** The whole output. */
  async output(): Promise<string> {
    return (await this.#process.ended).output;
  }
}

function matches(event: PrintedEvent, pattern: EventPattern): boolean {
  return Object.entries(pattern).every(([key, value]) => event[key] === value);
}

function readEvent(line: string): PrintedEvent | undefined {
  if (!line.startsWith("{")) return undefined;
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}
