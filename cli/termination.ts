/**
 * The signals by which people and systemd end a program.
 *
 * @module
 */

/** A signal that is aborted by SIGTERM or SIGINT, until it is disposed. */
export interface Termination extends Disposable {
  /** Aborted by the first of them. */
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
    controller.abort();
  };
  for (const name of SIGNALS) Deno.addSignalListener(name, stop);
  return { signal: controller.signal, [Symbol.dispose]: ignore };
}
