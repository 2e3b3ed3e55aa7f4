import { JsonLines } from "./json_lines.ts";
import { waitUntil } from "./wait_until.ts";

/** How a command in a VM ended. */
export interface ExecResult {
  /** The exit code, or 128 plus the signal's number when a signal ended the command. */
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** How {@linkcode GuestAgent.exec} runs a command. */
export interface ExecOptions {
  readonly deadlineMs: number;
  /** The command's standard input. */
  readonly input?: string;
}

const callDeadlineMs = 10_000;
const pollMs = 200;
const longestCommand = 200;
const signalExitBase = 128;

/** The QEMU guest agent of one VM. It runs commands as root in the VM without any network. */
export class GuestAgent {
  readonly #socket: string;

  /** @param socket the path of the socket to which the VM's agent port is connected */
  constructor(socket: string) {
    this.#socket = socket;
  }

  /** Waits until the agent answers, that is, until the VM has booted. */
  async ready(deadlineMs: number): Promise<void> {
    await waitUntil({ what: "answer of the guest agent", deadlineMs }, async ({ saw }) => {
      try {
        await this.#call("guest-ping", {}, Math.min(deadlineMs, callDeadlineMs));
        return true;
      } catch (error) {
        saw(String(error));
        return false;
      }
    });
  }

  /**
   * Runs a command to its end.
   *
   * @throws Error when it has not ended at the deadline; the command then continues to run.
   */
  async exec(argv: readonly [string, ...string[]], { deadlineMs, input }: ExecOptions): Promise<ExecResult> {
    const [path, ...arg] = argv;
    const started = await this.#call("guest-exec", {
      path,
      arg,
      "capture-output": true,
      ...(input === undefined ? {} : { "input-data": new TextEncoder().encode(input).toBase64() }),
    });
    const what = `end of "${argv.join(" ").slice(0, longestCommand)}" in the VM`;
    return await waitUntil({ what, deadlineMs, everyMs: pollMs }, async () => {
      const status = await this.#call("guest-exec-status", { pid: started.pid });
      if (status.exited !== true) return undefined;
      const exitCode = typeof status.signal === "number" ? signalExitBase + status.signal : Number(status.exitcode);
      return { exitCode, stdout: decode(status["out-data"]), stderr: decode(status["err-data"]) };
    });
  }

  /** Starts a command and returns without waiting for its end. */
  async start(argv: readonly [string, ...string[]]): Promise<void> {
    const [path, ...arg] = argv;
    await this.#call("guest-exec", { path, arg });
  }

  async #call(execute: string, args: object, deadlineMs = callDeadlineMs): Promise<Record<string, unknown>> {
    await using lines = await this.#synchronised(deadlineMs);
    await lines.send({ execute, arguments: args });
    return await lines.receive((message) => {
      if (message.error !== undefined) throw new Error(`Cannot ${execute}: ${JSON.stringify(message.error)}`);
      return isObject(message.return) ? message.return : undefined;
    });
  }

  /** Returns a connection after discarding the answers to earlier requests that the agent may still send. */
  async #synchronised(deadlineMs: number): Promise<JsonLines> {
    const lines = await JsonLines.connect(this.#socket, deadlineMs);
    try {
      const id = Math.floor(Math.random() * Number.MAX_SAFE_INTEGER);
      await lines.send({ execute: "guest-sync", arguments: { id } });
      await lines.receive((message) => message.return === id ? true : undefined);
      return lines;
    } catch (error) {
      await lines[Symbol.asyncDispose]();
      throw error;
    }
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}

function decode(base64: unknown): string {
  return typeof base64 === "string" ? new TextDecoder().decode(Uint8Array.fromBase64(base64)) : "";
}
