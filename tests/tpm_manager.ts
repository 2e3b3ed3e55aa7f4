/**
 * What the kernel's resource manager is for a TPM: several programs use one software TPM, each as if it were alone.
 *
 * A program that has a key or a session in the TPM has it for itself until that is flushed. What a program leaves behind
 * that ends, is flushed.
 *
 * @module
 */
import { join } from "node:path";
import { COMMAND } from "../attestation/kinds/tpm/constants.ts";
import type { TpmTransport } from "../attestation/kinds/tpm/transport.ts";

/** A socket where many programs reach one TPM. */
export interface TpmManager extends AsyncDisposable {
  readonly socketPath: string;
}

/** Runs one task at a time. */
type Turns = <T>(task: () => Promise<T>) => Promise<T>;

const HEADER_BYTES = 10;
const MAXIMUM_BYTES = 4_096;
/** Commands whose answers name an object that stays. */
const LOADING: readonly number[] = [COMMAND.createPrimary, COMMAND.startAuthSession];
const SUCCESS = 0;
/** TPM2_FlushContext without its handle: tag, size, code. */
const FLUSH = [0x80, 0x01, 0, 0, 0, 14, 0, 0, 0x01, 0x65];

/** Listens for programs that use the TPM of a transport, which it owns from now on. */
export async function manageTpm(transport: TpmTransport): Promise<TpmManager> {
  const folder = await Deno.makeTempDir({ prefix: "tpm-manager-" });
  const socketPath = join(folder, "socket");
  const listener = Deno.listen({ transport: "unix", path: socketPath });
  const whole = turns();
  const open = new Set<Deno.Conn>();
  const serving = (async () => {
    for await (const connection of listener) {
      open.add(connection);
      serve(connection, transport, whole).catch(() => {}).finally(() => {
        open.delete(connection);
        connection.close();
      });
    }
  })();
  return {
    socketPath,
    async [Symbol.asyncDispose]() {
      listener.close();
      await serving;
      for (const connection of open) connection.close();
      await whole(() => Promise.resolve(transport.close()));
      await Deno.remove(folder, { recursive: true });
    },
  };
}

function turns(): Turns {
  let last: Promise<unknown> = Promise.resolve();
  return (task) => {
    const result = last.then(task);
    last = result.catch(() => {});
    return result;
  };
}

/** Serves one program. Each turn lasts until nothing of the program is in the TPM. */
async function serve(connection: Deno.Conn, transport: TpmTransport, whole: Turns): Promise<void> {
  for (;;) {
    const first = await readCommand(connection);
    if (first === undefined) return;
    await whole(() => turn(connection, transport, first));
  }
}

async function turn(connection: Deno.Conn, transport: TpmTransport, first: Uint8Array): Promise<void> {
  const loaded = new Set<number>();
  try {
    for (let command: Uint8Array | undefined = first; command !== undefined;) {
      const response = await transport.transmit(command);
      note(loaded, command, response);
      await writeAll(connection, response);
      command = loaded.size === 0 ? undefined : await readCommand(connection);
    }
  } finally {
    for (const handle of loaded) await transport.transmit(new Uint8Array([...FLUSH, ...bytesOf(handle)]));
  }
}

function note(loaded: Set<number>, command: Uint8Array, response: Uint8Array): void {
  const code = numberAt(command, 6);
  if (numberAt(response, 6) !== SUCCESS) return;
  if (LOADING.includes(code)) loaded.add(numberAt(response, HEADER_BYTES));
  if (code === COMMAND.flushContext) loaded.delete(numberAt(command, HEADER_BYTES));
}

async function readCommand(connection: Deno.Conn): Promise<Uint8Array | undefined> {
  const header = await readExactly(connection, HEADER_BYTES);
  if (header === undefined) return undefined;
  const size = numberAt(header, 2);
  if (size < HEADER_BYTES || size > MAXIMUM_BYTES) throw new Error(`A TPM command of ${size} bytes`);
  const rest = await readExactly(connection, size - HEADER_BYTES);
  return rest === undefined ? undefined : new Uint8Array([...header, ...rest]);
}

async function readExactly(connection: Deno.Conn, size: number): Promise<Uint8Array | undefined> {
  const bytes = new Uint8Array(size);
  for (let length = 0; length < size;) {
    const read = await connection.read(bytes.subarray(length));
    if (read === null) return undefined;
    length += read;
  }
  return bytes;
}

async function writeAll(connection: Deno.Conn, bytes: Uint8Array): Promise<void> {
  for (let written = 0; written < bytes.length;) written += await connection.write(bytes.subarray(written));
}

function numberAt(bytes: Uint8Array, offset: number): number {
  return new DataView(bytes.buffer, bytes.byteOffset).getUint32(offset);
}

function bytesOf(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value);
  return bytes;
}
