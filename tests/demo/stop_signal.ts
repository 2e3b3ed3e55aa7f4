const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/**
 * Calls `onSignal` when a person or the system wants this process to end. Until it is disposed, none of these signals ends
 * it: Ctrl-C arrives twice below a task runner, once from the terminal and once from the runner, and must not cut the
 * cleaning up.
 */
export class StopSignal implements Disposable {
  readonly #onSignal: () => void;

  /** Listens from now on. */
  constructor(onSignal: () => void) {
    this.#onSignal = onSignal;
    for (const name of signals) Deno.addSignalListener(name, onSignal);
  }

  /** Gives the signals back their usual effect. */
  [Symbol.dispose](): void {
    for (const name of signals) Deno.removeSignalListener(name, this.#onSignal);
  }
}
