/**
 * The connection to a TPM: one command in, one response out.
 *
 * @module
 */
import type { Bytes } from "../../../platform/bytes.ts";
import { copyOf } from "../../../platform/bytes.ts";
import type { Clock } from "../../../platform/clock.ts";
import { systemClock } from "../../../platform/clock.ts";
import { BootstrapError } from "../../../platform/errors.ts";
import type { BootstrapErrorOptions } from "../../../platform/errors.ts";
import { present } from "../../../platform/present.ts";
import { createQueue } from "./_queue.ts";
import { MAXIMUM_MESSAGE_BYTES } from "./constants.ts";
import { tpmReader } from "./wire.ts";

/** The connection to a TPM. */
export interface TpmTransport {
  /**
   * Sends one command and returns its response, including the header. Concurrent commands are sent one at a time.
   *
   * @param deadlineMs How long the TPM may take, milliseconds. Default: {@linkcode COMMAND_DEADLINE_MS}.
   * @throws {BootstrapError} `system/tpm-transport` if the connection is broken, `system/tpm-silent` if the TPM did not
   *   answer in time, `malformed/tpm-response` for a response of a wrong size.
   */
  transmit(command: Uint8Array, deadlineMs?: number): Promise<Bytes>;
  /** Closes the connection. */
  close(): void;
}

/** A device file or a socket. Reading gives some bytes, or `null` at the end. */
export interface TpmStream {
  /** Writes some of the bytes, and returns how many. */
  write(bytes: Uint8Array): Promise<number>;
  /** Reads at most as many bytes as the buffer holds. */
  read(buffer: Uint8Array): Promise<number | null>;
  close(): void;
}

/**
 * How long a TPM may take for a command that makes no key. Linux gives up after 2 s for those that it knows, and after
 * two minutes for the others (`tpm2-cmd.c`, TPM2_DURATION_LONG and _DEFAULT); emulated TPMs on a busy host need longer
 * than the first, and no command that this program sends needs the second.
 */
export const COMMAND_DEADLINE_MS = 45_000;
/** For opening the device. */
const OPEN_DEADLINE_MS = 15_000;

/** A connection that failed. */
export class TpmTransportError extends BootstrapError {
  /**
   * Whether a whole command may be sent again on the same connection: the call of the operating system failed before
   * any byte of an answer arrived. The TPM may have run the command all the same.
   */
  readonly mayRepeat: boolean;

  /** Creates the error with the code `system/tpm-transport`. */
  constructor(message: string, mayRepeat: boolean, options: BootstrapErrorOptions = {}) {
    super("system/tpm-transport", message, options);
    this.mayRepeat = mayRepeat;
  }
}

/** Tag, size and code, in front of each message (Part 1, 18.2). */
const HEADER_BYTES = 10;
const SIZE_OFFSET = 2;

/**
 * Opens the kernel's TPM device with a resource manager, by default `/dev/tpmrm0`. The device takes one whole command
 * in one write, and flushes the objects that a process leaves behind.
 *
 * @throws {BootstrapError} `system/tpm-transport`, `system/tpm-silent`.
 */
export async function openTpmDevice(path = "/dev/tpmrm0", clock: SleepingClock = systemClock): Promise<TpmTransport> {
  try {
    const opening = Deno.open(path, { read: true, write: true });
    return streamTransport(await inTime(opening, OPEN_DEADLINE_MS, path, clock), path, clock);
  } catch (cause) {
    if (cause instanceof BootstrapError) throw cause;
    throw new BootstrapError("system/tpm-transport", `Cannot open the TPM at ${path}`, {
      cause,
      next: "Check that the machine has a TPM 2.0 and that this program may read and write its device",
    });
  }
}

/** The part of a clock that measures deadlines. */
export type SleepingClock = Pick<Clock, "sleep">;

/**
 * Creates a transport over a stream. After an error in the middle of a message, or a deadline, the transport stays
 * broken, because the start of the next message is unknown.
 *
 * @param stream The stream. The transport owns it from now on.
 * @param what The stream's name, for errors.
 * @param clock Measures the deadlines.
 */
export function streamTransport(
  stream: TpmStream,
  what: string,
  clock: SleepingClock = systemClock,
): TpmTransport {
  const queue = createQueue();
  let broken = false;
  let firstFailure: unknown;
  return {
    transmit: (command, deadlineMs = COMMAND_DEADLINE_MS) =>
      queue(async () => {
        if (broken) throw brokenError(what, firstFailure);
        broken = true;
        try {
          return await inTime(exchange(stream, command, what), deadlineMs, what, clock).then((response) => {
            broken = false;
            return response;
          });
        } catch (error) {
          broken = !(error instanceof TpmTransportError && error.mayRepeat);
          if (broken) firstFailure = error;
          throw error;
        }
      }),
    close() {
      broken = true;
      stream.close();
    },
  };
}

/**
 * Waits for a device, but not for ever: a call of the operating system cannot be stopped, so that nothing waits for it
 * any more.
 */
async function inTime<T>(work: Promise<T>, deadlineMs: number, what: string, clock: SleepingClock): Promise<T> {
  const over = new AbortController();
  const late = clock.sleep(deadlineMs, over.signal).then((): never => {
    const message = `The TPM at ${what} did not answer within ${deadlineMs / 1000} s`;
    throw new BootstrapError("system/tpm-silent", message);
  });
  late.catch(() => {});
  try {
    return await Promise.race([work, late]);
  } finally {
    over.abort();
    work.catch(() => {});
  }
}

async function exchange(stream: TpmStream, command: Uint8Array, what: string): Promise<Bytes> {
  const buffer = new Uint8Array(MAXIMUM_MESSAGE_BYTES);
  let length = 0;
  let written = 0;
  try {
    while (written < command.length) written += await stream.write(command.subarray(written));
    for (let size = HEADER_BYTES; length < size;) {
      const read = await stream.read(buffer.subarray(length));
      if (read === null || read === 0) throw transportError(what, "it ended in the middle of a response");
      length += read;
      if (length >= HEADER_BYTES) size = tpmReader(buffer, "response").at(SIZE_OFFSET).u32("responseSize");
      if (size < HEADER_BYTES || size > MAXIMUM_MESSAGE_BYTES || length > size) throw sizeError(what, size, length);
    }
  } catch (cause) {
    if (cause instanceof BootstrapError) throw cause;
    // The device takes whole commands and gives whole answers: either call does all or nothing.
    const mayRepeat = length === 0 && (written === 0 || written === command.length);
    throw transportError(what, cause instanceof Error ? cause.message : String(cause), mayRepeat, cause);
  }
  return copyOf(buffer.subarray(0, length));
}

function transportError(what: string, reason: string, mayRepeat = false, cause?: unknown): TpmTransportError {
  return new TpmTransportError(`Cannot talk to the TPM at ${what}: ${reason}`, mayRepeat, present("cause", cause));
}

function brokenError(what: string, first: unknown): TpmTransportError {
  const reason = first instanceof Error ? `it failed before: ${first.message}` : "it was closed";
  return transportError(what, reason, false, first);
}

function sizeError(what: string, size: number, length: number): BootstrapError {
  const message = `The TPM at ${what} says that its response has ${size} bytes, after ${length} were read`;
  return new BootstrapError("malformed/tpm-response", message);
}
