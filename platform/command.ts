/**
 * Runs other programs, with an argument array and a deadline.
 *
 * @module
 */
import { isAbortedSoon, onAbort } from "./abortable.ts";
import { BootstrapError } from "./errors.ts";

/** Options for {@linkcode CommandRunner.run}. */
export interface CommandOptions {
  /** The time after which the program is killed, in milliseconds. */
  readonly deadlineMs: number;
  /** Kills the program early. */
  readonly signal?: AbortSignal;
  /** The program's whole environment. Default: only `PATH`. */
  readonly env?: Readonly<Record<string, string>>;
  /** The program's standard input. */
  readonly stdin?: Uint8Array;
  /** Called for each line of standard output and standard error as it arrives. */
  readonly onLine?: (line: string, stream: "stdout" | "stderr") => void;
}

/** The result of a program that has ended. */
export interface CommandResult {
  readonly code: number;
  /** Standard output, at most the last mebibyte. */
  readonly stdout: string;
  /** Standard error, at most the last mebibyte. */
  readonly stderr: string;
}

/** Runs programs. */
export interface CommandRunner {
  /**
   * Runs `argv[0]` with the rest as arguments, and returns its result whatever the exit code is.
   *
   * @throws {BootstrapError} `system/command` if the program cannot be started, `timeout/command`, `aborted/command`.
   */
  run(argv: readonly [string, ...string[]], options: CommandOptions): Promise<CommandResult>;
}

const KEPT_OUTPUT_LENGTH = 1 << 20;
const SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

async function collect(
  stream: ReadableStream<Uint8Array<ArrayBuffer>>,
  onLine: ((line: string) => void) | undefined,
  signal: AbortSignal,
): Promise<string> {
  let kept = "";
  let open = "";
  try {
    for await (const text of stream.pipeThrough(new TextDecoderStream(), { signal })) {
      kept = (kept + text).slice(-KEPT_OUTPUT_LENGTH);
      if (onLine === undefined) continue;
      const lines = (open + text).split("\n");
      open = lines.pop()?.slice(-KEPT_OUTPUT_LENGTH) ?? "";
      for (const line of lines) onLine(line);
    }
  } catch (error) {
    // The children of a killed program may hold its output open forever.
    if (!signal.aborted) throw error;
  }
  if (open !== "") onLine?.(open);
  return kept;
}

/** Whether a program ended by SIGINT or SIGTERM, or says so as a shell does. */
function endedOnRequest({ code, signal }: Deno.CommandStatus): boolean {
  return signal === "SIGINT" || signal === "SIGTERM" || code === 128 + 2 || code === 128 + 15;
}

/** Runs programs of the operating system. */
export const systemCommands: CommandRunner = Object.freeze({
  async run(argv: readonly [string, ...string[]], options: CommandOptions): Promise<CommandResult> {
    const [program, ...args] = argv;
    const deadline = AbortSignal.timeout(options.deadlineMs);
    const signal = options.signal === undefined ? deadline : AbortSignal.any([deadline, options.signal]);
    if (signal.aborted) {
      throw new BootstrapError("aborted/command", `${program} was not started`, { cause: signal.reason });
    }
    let child: Deno.ChildProcess;
    try {
      child = new Deno.Command(program, {
        args,
        clearEnv: true,
        env: options.env ?? { PATH: SYSTEM_PATH },
        stdin: options.stdin === undefined ? "null" : "piped",
        stdout: "piped",
        stderr: "piped",
      }).spawn();
    } catch (cause) {
      throw new BootstrapError("system/command", `Cannot start ${program}`, { cause });
    }
    using _killing = onAbort(signal, () => {
      try {
        child.kill("SIGKILL");
      } catch {
        // The program has already ended.
      }
    });
    const feed = async () => {
      if (options.stdin === undefined) return;
      const writer = child.stdin.getWriter();
      await writer.write(new Uint8Array(options.stdin)).then(() => writer.close(), () => {});
    };
    const { onLine } = options;
    const [status, stdout, stderr] = await Promise.all([
      child.status,
      collect(child.stdout, onLine && ((line) => onLine(line, "stdout")), signal),
      collect(child.stderr, onLine && ((line) => onLine(line, "stderr")), signal),
      feed(),
    ]);
    const isStopped = options.signal?.aborted || (endedOnRequest(status) && await isAbortedSoon(options.signal));
    if (isStopped) throw new BootstrapError("aborted/command", `${program} was stopped`);
    if (deadline.aborted) {
      throw new BootstrapError("timeout/command", `${program} did not end within ${options.deadlineMs / 1000} s`);
    }
    return { code: status.code, stdout, stderr };
  },
});

/**
 * Runs a program that must succeed.
 *
 * @returns The program's standard output.
 * @throws {BootstrapError} `system/command` with the last line of standard error, if the exit code is not 0.
 */
export async function runOrThrow(
  commands: CommandRunner,
  argv: readonly [string, ...string[]],
  options: CommandOptions,
): Promise<string> {
  const { code, stdout, stderr } = await commands.run(argv, options);
  if (code === 0) return stdout;
  const lastLine = stderr.trimEnd().split("\n").at(-1) ?? "";
  throw new BootstrapError("system/command", `${argv[0]} ended with exit code ${code}: ${lastLine}`, {
    details: { program: argv[0], exitCode: String(code) },
  });
}
