const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/**
 * Calls `onSignal` when a person or the system asks this process to end. Until it is disposed of, none of these signals
 * ends the process: below a task runner Ctrl-C arrives twice, from the terminal and from the runner, and must not
 * interrupt the cleanup.
 */
export class StopSignal implements Disposable {
  readonly #onSignal: () => void;

  /** Starts listening. */
  constructor(onSignal: () => void) {
    this.#onSignal = onSignal;
    for (const name of signals) Deno.addSignalListener(name, onSignal);
  }

  /** Restores the signals' default effect. */
  [Symbol.dispose](): void {
    for (const name of signals) Deno.removeSignalListener(name, this.#onSignal);
  }
}
