/**
 * A join service waits until the API server grants what it needs, before it takes exchanges.
 *
 * @module
 */
import { FORBIDDEN_PATIENCE_MS } from "../kubernetes/forbidden_patience.ts";
import type { Clock } from "../platform/clock.ts";
import { asBootstrapError, BootstrapError } from "../platform/errors.ts";
import type { Log } from "../platform/log.ts";
import { errorFields } from "../platform/log.ts";
import { retry } from "../platform/retry.ts";

const BACK_OFF = { firstMs: 100, factor: 2, longestMs: 2_000, jitter: 0.2 } as const;
const RETRY_AFTER_SECONDS = 2;

/** What {@linkcode OwnRights} works with. */
export interface OwnRightsParts {
  /** Makes a call of each kind that an exchange makes, and changes nothing. */
  readonly probe: () => Promise<unknown>;
  readonly clock: Pick<Clock, "monotonicMs" | "sleep">;
  readonly log: Log;
}

/** Whether a join service has its rights. */
export class OwnRights {
  readonly #parts: OwnRightsParts;
  #missing: BootstrapError | undefined;
  #isOver = false;

  /** Has not asked yet. */
  constructor(parts: OwnRightsParts) {
    this.#parts = parts;
  }

  /**
   * Asks until the API server grants everything. It gives up after minutes: then each exchange says by itself what it
   * lacks. Says in the log what it waits for.
   */
  async run(signal: AbortSignal): Promise<void> {
    const { probe, clock, log } = this.#parts;
    const startMs = clock.monotonicMs();
    let said = "";
    try {
      await retry(probe, {
        ...{ clock, random: Math.random, signal, backOff: BACK_OFF },
        isRetriable: ({ retriable }) => retriable && clock.monotonicMs() - startMs < FORBIDDEN_PATIENCE_MS,
        onFailedTry: ({ error }) => {
          this.#missing = error;
          if (error.code === said) return;
          said = error.code;
          log.event("warn", "join-signer-waits", errorFields(error));
        },
      });
      if (said !== "") log.event("info", "join-signer-ready", { waitedMs: Math.round(clock.monotonicMs() - startMs) });
    } catch (error) {
      if (signal.aborted) return;
      log.event("error", "join-signer-lacks-rights", errorFields(asBootstrapError(error)));
    } finally {
      this.#isOver = true;
    }
  }

  /**
   * Refuses an exchange while the service waits.
   *
   * @throws {BootstrapError} `unavailable/join-service-starting`.
   */
  check(): void {
    if (this.#isOver) return;
    throw new BootstrapError(
      "unavailable/join-service-starting",
      "The join service has just started, and waits for the API server of its machine",
      {
        cause: this.#missing,
        next: "Wait: the node asks again. If this stays, look at the API server and at the log of bootstrapper-join",
        retryAfterSeconds: RETRY_AFTER_SECONDS,
      },
    );
  }
}
