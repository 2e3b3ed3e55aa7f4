/**
 * The connection to a TPM: one command in, one response out.
 *
 * @module
 */
import type { Bytes } from "../../../platform/bytes.ts";
import { copyOf } from "../../../platform/bytes.ts";
import { BootstrapError } from "../../../platform/errors.ts";
import { createQueue } from "./_queue.ts";
import { MAXIMUM_MESSAGE_BYTES } from "./constants.ts";
import { tpmReader } from "./wire.ts";

/** The connection to a TPM. */
export interface TpmTransport {
  /**
   * Sends one command and returns its response, including the header. Concurrent commands are sent one at a time.
   *
   * @throws {BootstrapError} `system/tpm-transport` if the connection is broken, `malformed/tpm-response` for a
   *   response of a wrong size.
   */
  transmit(command: Uint8Array): Promise<Bytes>;
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

/** Tag, size and code, in front of each message (Part 1, 18.2). */
const HEADER_BYTES = 10;
const SIZE_OFFSET = 2;

/**
 * Opens the kernel's TPM device with a resource manager, by default `/dev/tpmrm0`. The device takes one whole command
 * in one write, and flushes the objects that a process leaves behind.
 *
 * @throws {BootstrapError} `system/tpm-transport`.
 */
export async function openTpmDevice(path = "/dev/tpmrm0"): Promise<TpmTransport> {
  try {
    return streamTransport(await Deno.open(path, { read: true, write: true }), path);
  } catch (cause) {
    throw new BootstrapError("system/tpm-transport", `Cannot open the TPM at ${path}`, {
      cause,
      next: "Check that the machine has a TPM 2.0 and that this program may read and write its device",
    });
  }
}

/**
 * Creates a transport over a stream. After an error in the middle of a message the transport stays broken, because the
 * start of the next message is unknown.
 *
 * @param stream The stream. The transport owns it from now on.
 * @param what The stream's name, for errors.
 */
export function streamTransport(stream: TpmStream, what: string): TpmTransport {
  const queue = createQueue();
  let broken = false;
  return {
    transmit: (command) =>
      queue(async () => {
        if (broken) throw transportError(what, "it failed before");
        broken = true;
        const response = await exchange(stream, command, what);
        broken = false;
        return response;
      }),
    close() {
      broken = true;
      stream.close();
    },
  };
}

async function exchange(stream: TpmStream, command: Uint8Array, what: string): Promise<Bytes> {
  const buffer = new Uint8Array(MAXIMUM_MESSAGE_BYTES);
  let length = 0;
  try {
    for (let written = 0; written < command.length;) written += await stream.write(command.subarray(written));
    for (let size = HEADER_BYTES; length < size;) {
      const read = await stream.read(buffer.subarray(length));
      if (read === null || read === 0) throw transportError(what, "it ended in the middle of a response");
      length += read;
      if (length >= HEADER_BYTES) size = tpmReader(buffer, "response").at(SIZE_OFFSET).u32("responseSize");
      if (size < HEADER_BYTES || size > MAXIMUM_MESSAGE_BYTES || length > size) throw sizeError(what, size, length);
    }
  } catch (cause) {
    if (cause instanceof BootstrapError) throw cause;
    throw transportError(what, cause instanceof Error ? cause.message : String(cause), cause);
  }
  return copyOf(buffer.subarray(0, length));
}

function transportError(what: string, reason: string, cause?: unknown): BootstrapError {
  const message = `Cannot talk to the TPM at ${what}: ${reason}`;
  return new BootstrapError("system/tpm-transport", message, cause === undefined ? {} : { cause });
}

function sizeError(what: string, size: number, length: number): BootstrapError {
  const message = `The TPM at ${what} says that its response has ${size} bytes, after ${length} were read`;
  return new BootstrapError("malformed/tpm-response", message);
}
