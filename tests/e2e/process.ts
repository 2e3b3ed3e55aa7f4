import { waitUntil } from "./wait_until.ts";

/** A process, told from a later one that got the same number. */
export interface ProcessIdentity {
  readonly pid: number;
  /** Field 22 of `/proc/PID/stat`: clock ticks since boot. */
  readonly startTime: string;
}

/** How {@linkcode startProcess} starts a process. */
export interface StartOptions {
  /** The file to which its output is appended. */
  readonly log: string;
  readonly cwd: string;
  /** Whether it outlives this process; else the kernel kills it as soon as this process ends, in whatever way. */
  readonly keepRunning: boolean;
}

/** A process that was started here. */
export interface StartedProcess extends ProcessIdentity {
  /** Settles when the process has ended. */
  readonly ended: Promise<unknown>;
}

/** Starts a long-lived process in a session of its own, with its output in a file. */
export async function startProcess(argv: readonly string[], options: StartOptions): Promise<StartedProcess> {
  const tied = options.keepRunning ? [] : ["setpriv", "--pdeathsig", "KILL"];
  const child = new Deno.Command("setsid", {
    args: [...tied, "sh", "-c", 'exec "$@" >>"$0" 2>&1', options.log, ...argv],
    cwd: options.cwd,
    stdin: "null",
    stdout: "null",
    stderr: "null",
  }).spawn();
  if (options.keepRunning) child.unref();
  const startTime = await startTimeOf(child.pid);
  return { pid: child.pid, startTime: startTime ?? "", ended: child.status };
}

/** Whether the process is there and not merely waiting to be reaped. */
export async function isAlive({ pid, startTime }: ProcessIdentity): Promise<boolean> {
  return await startTimeOf(pid) === startTime;
}

/** Kills the process with SIGKILL if it is alive, and waits for its end. */
export async function killProcess(identity: ProcessIdentity): Promise<void> {
  if (!await isAlive(identity)) return;
  try {
    Deno.kill(identity.pid, "SIGKILL");
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  await waitForEnd(identity, killDeadlineMs);
}

const killDeadlineMs = 30_000;

/**
 * Waits until the process has ended.
 *
 * @throws Error when it is alive at the deadline.
 */
export async function waitForEnd(identity: ProcessIdentity, deadlineMs: number): Promise<void> {
  const what = `end of process ${identity.pid}`;
  await waitUntil({ what, deadlineMs, everyMs: 20 }, async () => !await isAlive(identity));
}

/** This process. */
export async function thisProcess(): Promise<ProcessIdentity> {
  return { pid: Deno.pid, startTime: await startTimeOf(Deno.pid) ?? "" };
}

async function startTimeOf(pid: number): Promise<string | undefined> {
  const stat = await Deno.readTextFile(`/proc/${pid}/stat`).catch(() => undefined);
  // The second field is in parentheses and may hold anything; the third is the state, and Z is a process that has ended.
  const fields = stat?.slice(stat.lastIndexOf(")") + 2).split(" ");
  return fields?.[0] === "Z" ? undefined : fields?.[19];
}
