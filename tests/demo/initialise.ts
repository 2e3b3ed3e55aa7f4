import { setTimeout as delay } from "node:timers/promises";
import { BootstrapError } from "../../platform/errors.ts";
import { DEMO_CODES } from "./demo_codes.ts";
import type { CommandResult } from "../e2e/testbed.ts";

/** What {@linkcode initialise} works with. */
export interface InitialiseOptions {
  /** The operator's init, as a command line. */
  readonly command: readonly string[];
  /** The file that gets what all runs of it print. */
  readonly log: string;
  /** Runs a command in the network of the machines, to its end. */
  readonly exec: (argv: readonly string[]) => Promise<Pick<CommandResult, "exitCode">>;
  /** Told before each run but the first. */
  readonly onAgain: () => void;
  /** Ends it. */
  readonly signal: AbortSignal;
  /** Milliseconds between two runs. */
  readonly pauseMs?: number;
}

/** The exit code of what may succeed when it is run again. */
const unavailable = 4;
/** The command is killed when this process dies, and appends what it prints to a file. */
const logged = ["setpriv", "--pdeathsig", "KILL", "sh", "-c", 'exec "$@" >>"$0" 2>&1'];

/**
 * Runs an operator's init, again and again as long as it says that this may help: a run takes up the operation of the one
 * before.
 *
 * @throws {BootstrapError} `system/demo-init` when it fails in another way; the signal's reason.
 */
export async function initialise(options: InitialiseOptions): Promise<void> {
  const { command, log, exec, onAgain, signal, pauseMs = 5_000 } = options;
  for (;;) {
    const { exitCode } = await exec([...logged, log, ...command]);
    signal.throwIfAborted();
    if (exitCode === 0) return;
    if (exitCode !== unavailable) {
      const message = `The init of node-1 failed with exit code ${exitCode}`;
      throw new BootstrapError(DEMO_CODES.initFailed, message, { details: { log } });
    }
    onAgain();
    await delay(pauseMs, undefined, { signal }).catch(() => signal.throwIfAborted());
  }
}
