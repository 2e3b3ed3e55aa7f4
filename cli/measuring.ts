/**
 * Tries of `bootstrapper measure`, and their outcome for `bootstrapper status`. kubelet, containerd and bootstrapper
 * depend on this one program: what may pass is tried again here, as they would not start at all otherwise. A device that
 * failed in the middle needs a new process, which the unit starts.
 *
 * @module
 */
import { TpmTransportError } from "../attestation/kinds/tpm/transport.ts";
import { writeMeasurementRecord } from "../node/measurement_record.ts";
import { statusRefusal } from "../node/status.ts";
import type { BootstrapError } from "../platform/errors.ts";
import { asBootstrapError, errorFamily } from "../platform/errors.ts";
import { ensureFolder } from "../platform/files.ts";
import { errorFields } from "../platform/log.ts";
import { present } from "../platform/present.ts";
import type { BackOff } from "../platform/retry.ts";
import { retry } from "../platform/retry.ts";
import type { CliContext } from "./context.ts";

/** Eight tries take two minutes, without the time of the tries themselves. */
const BACK_OFF: BackOff = Object.freeze({ firstMs: 500, factor: 2.2, longestMs: 45_000, jitter: 0.2 });
const MAXIMUM_TRIES = 8;
/** The unit starts three processes before it gives up (`TimeoutStartSec=`), and the last try may take a minute and a half. */
const PATIENCE_MS = 3 * 60_000;
/** After these the process that has opened the device cannot use it any more. */
const BROKEN_DEVICE: readonly string[] = ["system/device", "system/device-silent", "system/tpm-silent"];

/** The tries of one process. */
export class Measuring {
  readonly #context: Pick<CliContext, "clock" | "log" | "paths">;
  readonly #bootId: string | undefined;
  readonly #startMs: number;
  #tries = 0;

  /**
   * Begins to count tries and time.
   *
   * @param bootId This boot's ID, if it is known.
   */
  constructor(context: Pick<CliContext, "clock" | "log" | "paths">, bootId?: string) {
    this.#context = context;
    this.#bootId = bootId;
    this.#startMs = context.clock.monotonicMs();
  }

  /**
   * Opens the machine until that succeeds, as long as time may mend what failed: this machine's devices and disks, and
   * what is retriable.
   *
   * @throws What `open` throws; the record names it.
   */
  opened<T>(open: () => Promise<T>): Promise<T> {
    return this.#untilItWorks(open, mayPass);
  }

  /**
   * Measures until that succeeds, like {@linkcode opened}, but ends at once when a device that was opened cannot be used
   * any more: each further try would fail, and hide why.
   *
   * @throws What `work` throws; the record names it.
   */
  measured(work: () => Promise<void>): Promise<void> {
    return this.#untilItWorks(work, (error) => mayPass(error) && !isBroken(error));
  }

  async #untilItWorks<T>(work: () => Promise<T>, mayTryAgain: (error: BootstrapError) => boolean): Promise<T> {
    const { clock, log } = this.#context;
    try {
      return await retry(async () => {
        this.#tries++;
        return await work();
      }, {
        clock,
        random: Math.random,
        backOff: BACK_OFF,
        maximumTries: MAXIMUM_TRIES,
        isRetriable: (error) => mayTryAgain(error) && clock.monotonicMs() - this.#startMs < PATIENCE_MS,
        onFailedTry: ({ error, pauseMs }) => {
          log.event("warn", "measurement-failed", { ...errorFields(error), pauseMs });
        },
      });
    } catch (cause) {
      await this.#record(asBootstrapError(cause));
      throw cause;
    }
  }

  /** Records that everything is measured. */
  done(): Promise<void> {
    return this.#record(undefined);
  }

  /** A record that cannot be written must not keep the machine from its work. */
  async #record(error: BootstrapError | undefined): Promise<void> {
    const { clock, log, paths } = this.#context;
    const [now, tries] = [clock.now(), Math.max(1, this.#tries - (error === undefined ? 1 : 0))];
    try {
      await ensureFolder(paths.state);
      const failure = error === undefined ? {} : { error: statusRefusal(error, now) };
      await writeMeasurementRecord(paths.state, {
        ...{ time: now.toISOString(), tries, ...failure },
        ...present("bootId", this.#bootId),
      });
    } catch (cause) {
      log.event("warn", "measurement-not-recorded", errorFields(asBootstrapError(cause)));
    }
  }
}

function mayPass({ code, retriable }: BootstrapError): boolean {
  return retriable || errorFamily(code) === "system";
}

function isBroken(error: BootstrapError): boolean {
  return BROKEN_DEVICE.includes(error.code) || (error instanceof TpmTransportError && !error.mayRepeat);
}
