import { waitUntil } from "./wait_until.ts";

/** A process, identified so that a later process with the same number is not mistaken for it. */
export interface ProcessIdentity {
  readonly pid: number;
  /** Field 22 of `/proc/PID/stat`: clock ticks since boot. */
  readonly startTime: string;
}

/** How {@linkcode startProcess} starts a process. */
export interface StartOptions {
  /** The file to which the process's output is appended. */
  readonly log: string;
  readonly cwd: string;
  /** Whether the process outlives this one. If not, the kernel kills it when this process ends for any reason. */
  readonly keepRunning: boolean;
}

/** A process that {@linkcode startProcess} started. */
export interface StartedProcess extends ProcessIdentity {
  /** Settles when the process has ended. */
  readonly ended: Promise<unknown>;
}

/** Starts a long-lived process in its own session, with its output in a file. */
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

/** Whether the process exists and is not a zombie. */
export async function isAlive({ pid, startTime }: ProcessIdentity): Promise<boolean> {
  return await startTimeOf(pid) === startTime;
}

/** Kills the process with SIGKILL if it is alive, and waits until it has ended. */
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
 * @throws Error when it is still alive at the deadline.
 */
export async function waitForEnd(identity: ProcessIdentity, deadlineMs: number): Promise<void> {
  const what = `end of process ${identity.pid}`;
  await waitUntil({ what, deadlineMs, everyMs: 20 }, async () => !await isAlive(identity));
}

/** The identity of this process. */
export async function thisProcess(): Promise<ProcessIdentity> {
  return { pid: Deno.pid, startTime: await startTimeOf(Deno.pid) ?? "" };
}

async function startTimeOf(pid: number): Promise<string | undefined> {
  const stat = await Deno.readTextFile(`/proc/${pid}/stat`).catch(() => undefined);
  // The second field is in parentheses and may contain anything. The third is the state; Z is a zombie.
  const fields = stat?.slice(stat.lastIndexOf(")") + 2).split(" ");
  return fields?.[0] === "Z" ? undefined : fields?.[19];
}
