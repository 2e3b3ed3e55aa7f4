import { setTimeout as delay } from "node:timers/promises";
import { BootstrapError } from "../../platform/errors.ts";
import { DEMO_CODES } from "./demo_codes.ts";
import type { CommandResult } from "../e2e/testbed.ts";

/** The input of {@linkcode initialise}. */
export interface InitialiseOptions {
  /** The command line of the operator's init. */
  readonly command: readonly string[];
  /** The file that receives the output of all runs. */
  readonly log: string;
  /** Runs a command in the network of the machines, to its end. */
  readonly exec: (argv: readonly string[]) => Promise<Pick<CommandResult, "exitCode">>;
  /** Called before each run except the first. */
  readonly onAgain: () => void;
  /** Aborts the init. */
  readonly signal: AbortSignal;
  /** Milliseconds between two runs. */
  readonly pauseMs?: number;
}

/** The exit code of a command that may succeed when it is run again. */
const unavailable = 4;
/** The command is killed when this process dies, and its output is appended to a file. */
const logged = ["setpriv", "--pdeathsig", "KILL", "sh", "-c", 'exec "$@" >>"$0" 2>&1'];

/**
 * Runs an operator's init, and repeats it as long as its exit code says that another run may help. Each run continues
 * the operation of the one before.
 *
 * @throws {BootstrapError} `system/demo-init` when init fails in another way; the signal's reason when it aborts.
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
