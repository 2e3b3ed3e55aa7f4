import { dirname } from "node:path";

/** The options of {@linkcode run}. */
export interface RunOptions {
  /** The file to which the command's output is appended. */
  readonly log: string;
  readonly cwd?: string;
  /** Variables that are added to this process's environment. */
  readonly env?: Readonly<Record<string, string>>;
}

const shownLogLines = 25;

/**
 * Runs a command to its end, with all its output in a log file. The kernel kills the command when this process dies for
 * any reason (`PR_SET_PDEATHSIG`).
 *
 * @throws Error naming the log file and showing its last lines when the command does not exit with 0.
 */
export async function run(argv: readonly [string, ...string[]], options: RunOptions): Promise<void> {
  await Deno.mkdir(dirname(options.log), { recursive: true });
  await Deno.writeTextFile(options.log, `\n$ ${argv.join(" ")}\n`, { append: true });
  const child = new Deno.Command("setpriv", {
    args: ["--pdeathsig", "KILL", ...argv],
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    ...(options.env === undefined ? {} : { env: { ...options.env } }),
  }).spawn();
  await Promise.all([appendTo(options.log, child.stdout), appendTo(options.log, child.stderr)]);
  const status = await child.status;
  if (status.success) return;
  const lines = (await Deno.readTextFile(options.log)).trimEnd().split("\n").slice(-shownLogLines);
  const end = status.signal === null ? `exit code ${status.code}` : status.signal;
  throw new Error(
    `"${argv.join(" ").slice(0, 200)}" failed (${end}); its log ${options.log} ends with:\n${lines.join("\n")}`,
  );
}

async function appendTo(log: string, output: ReadableStream<Uint8Array>): Promise<void> {
  const file = await Deno.open(log, { append: true });
  await output.pipeTo(file.writable);
}

/**
 * Runs a command to its end and returns its standard output without trailing white space.
 *
 * @throws Error with the command's standard error when it does not exit with 0.
 */
export async function capture(
  argv: readonly [string, ...string[]],
  options: Omit<RunOptions, "log"> = {},
): Promise<string> {
  const [command, ...args] = argv;
  const output = await new Deno.Command(command, {
    args,
    stdin: "null",
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    ...(options.env === undefined ? {} : { env: { ...options.env } }),
  }).output();
  if (output.success) return new TextDecoder().decode(output.stdout).trimEnd();
  const stderr = new TextDecoder().decode(output.stderr).trimEnd();
  throw new Error(`"${argv.join(" ").slice(0, 200)}" failed (exit code ${output.code}): ${stderr}`);
}
