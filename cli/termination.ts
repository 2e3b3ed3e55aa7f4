/**
 * Handles the signals with which people and systemd end a program.
 *
 * @module
 */
import { BootstrapError } from "../platform/errors.ts";

/** An abort signal that SIGTERM and SIGINT abort, until it is disposed. */
export interface Termination extends Disposable {
  /** Aborted by the first SIGTERM or SIGINT, with `aborted/signal`. */
  readonly signal: AbortSignal;
}

const SIGNALS = ["SIGTERM", "SIGINT"] as const;

/** Listens for SIGTERM and SIGINT. A second one ends the process at once. */
export function terminationSignal(): Termination {
  const controller = new AbortController();
  const ignore = () => {
    for (const name of SIGNALS) Deno.removeSignalListener(name, stop);
  };
  const stop = () => {
    ignore();
    controller.abort(new BootstrapError("aborted/signal", "The command was ended by SIGTERM or SIGINT"));
  };
  for (const name of SIGNALS) Deno.addSignalListener(name, stop);
  return { signal: controller.signal, [Symbol.dispose]: ignore };
}
