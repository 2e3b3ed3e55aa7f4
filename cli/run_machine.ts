/**
 * The machine of `bootstrapper run`, opened within a session: the status says so from the first moment on.
 *
 * @module
 */
import { RunSession } from "../node/run_session.ts";
import { abortable } from "../platform/abortable.ts";
import type { CliContext } from "./context.ts";
import type { Machine } from "./machine.ts";
import { openMachine } from "./machine.ts";
import type { Termination } from "./termination.ts";
import { terminationSignal } from "./termination.ts";

/** A machine, and the start of the bootstrapper that opened it. Disposing of it ends the session. */
export interface RunMachine extends Machine, Disposable {
  readonly session: RunSession;
  readonly termination: Termination;
}

/**
 * Takes the run lock, waits if several starts have failed, and opens the machine.
 *
 * @throws {BootstrapError} `conflict/run`; `aborted/run` if the process was asked to stop; as `openMachine()`.
 */
export async function openRunMachine(context: CliContext): Promise<RunMachine> {
  const { paths, clock, log } = context;
  const session = await RunSession.open({ paths, clock, log });
  const termination = terminationSignal();
  const end = () => {
    termination[Symbol.dispose]();
    session[Symbol.dispose]();
  };
  try {
    const { signal } = termination;
    const machine = await session.guard(async () => {
      await session.pauseAfterFailures(signal);
      return await abortable(openMachine(context), signal);
    }, signal);
    return { ...machine, session, termination, [Symbol.dispose]: end };
  } catch (error) {
    end();
    throw error;
  }
}
