import { capture } from "./tools/run.ts";

/** A process that keeps namespaces alive; all processes of its PID namespace end with it. */
export interface Holder extends AsyncDisposable {
  /** Its process ID, which names its namespaces under `/proc`. */
  readonly pid: number;
}

/** Reaps whatever is orphaned in its PID namespace, and says when it is there. */
const INIT_SCRIPT = "echo ready; while :; do sleep infinity & wait $!; done";

/** Starts a process in new namespaces (flags of `unshare`), as the first of a PID namespace. */
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
  // util-linux complains of the SIGKILL that ends it.
  await child.stderr.cancel();
  const children = await Deno.readTextFile(`/proc/${child.pid}/task/${child.pid}/children`);
  const pid = Number(children.trim());
  return {
    pid,
    async [Symbol.asyncDispose]() {
      try {
        // `unshare` ends after the first process of the namespace, which ends after all others.
        Deno.kill(pid, "SIGKILL");
      } catch {
        // It has ended already.
      }
      await child.status;
    },
  };
}

/** The arguments that run a program inside a node's namespaces. */
export function inside(holder: Holder, argv: readonly string[]): [string, ...string[]] {
  return ["nsenter", "--target", String(holder.pid), "--mount", "--net", "--uts", "--pid", "--wd=/", "--", ...argv];
}

/** Runs a program inside a holder's network namespace alone, and returns what it printed. */
export function inNetwork(holder: Holder, argv: readonly string[]): Promise<string> {
  return capture(["nsenter", "--target", String(holder.pid), "--net", "--", ...argv]);
}
