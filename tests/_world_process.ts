import { capture } from "./tools/run.ts";

/** A process that keeps namespaces alive. All processes of its PID namespace end with it. */
export interface Holder extends AsyncDisposable {
  /** The process ID, under which `/proc` shows the namespaces. */
  readonly pid: number;
}

/** Reports that it has started, and reaps orphans of its PID namespace. */
const INIT_SCRIPT = "echo ready; while :; do sleep infinity & wait $!; done";

/** Starts a process in new namespaces (flags of `unshare`), as the first process of a PID namespace. */
export async function startHolder(flags: readonly string[]): Promise<Holder> {
  const child = new Deno.Command("setpriv", {
    args: [
      ...["--pdeathsig", "KILL", "unshare", ...flags],
      ...["--pid", "--fork", "--kill-child=KILL", "--mount-proc", "sh", "-c", INIT_SCRIPT],
    ],
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const reader = child.stdout.getReader();
  const { done } = await reader.read();
  if (done) throw new Error(`Cannot make namespaces: ${await new Response(child.stderr).text()}`);
  await reader.cancel();
  // util-linux reports the SIGKILL that ends the process.
  await child.stderr.cancel();
  const children = await Deno.readTextFile(`/proc/${child.pid}/task/${child.pid}/children`);
  const pid = Number(children.trim());
  return {
    pid,
    async [Symbol.asyncDispose]() {
      try {
        // `unshare` ends after the first process of the namespace, and that one ends after all others.
        Deno.kill(pid, "SIGKILL");
      } catch {
        // The process has already ended.
      }
      await child.status;
    },
  };
}

/** The command line that runs a program inside a node's namespaces. */
export function inside(holder: Holder, argv: readonly string[]): [string, ...string[]] {
  return ["nsenter", "--target", String(holder.pid), "--mount", "--net", "--uts", "--pid", "--wd=/", "--", ...argv];
}

/** Runs a program inside a holder's network namespace only, and returns its output. */
export function inNetwork(holder: Holder, argv: readonly string[]): Promise<string> {
  return capture(["nsenter", "--target", String(holder.pid), "--net", "--", ...argv]);
}
