/**
 * Connections that another process of this machine makes on a process's behalf. The caller has no network of its own.
 *
 * ```text
 * the caller, over a Unix socket: HOST ":" PORT "\n", then everything that it sends
 * the other process:              everything that the host sends; it closes where it cannot connect
 * ```
 *
 * Both ends use TLS over it, so that the process in between can only refuse service.
 *
 * @module
 */
import type { Socket } from "node:net";
import { isIP } from "node:net";
import { onAbort } from "./abortable.ts";
import type { Bytes } from "./bytes.ts";
import { concat, fromUtf8, utf8 } from "./bytes.ts";
import type { Clock } from "./clock.ts";
import type { Endpoint } from "./endpoint.ts";
import { endpointText, readEndpoint } from "./endpoint.ts";
import { BootstrapError } from "./errors.ts";
import { retry } from "./retry.ts";
import { listenOnUnixSocket } from "./unix_socket.ts";

/** An IPv6 address with a port is shorter. */
const MAXIMUM_LINE_BYTES = 64;
const LINE_END = 0x0a;
/** How long a caller may take to say where, and a host to accept, milliseconds. */
const DEADLINE_MS = 5_000;
/** How many connections there are at once. */
const MOST_CONNECTIONS = 32;
/** How often in a row no connection can be accepted, for lack of files, before the server gives up. */
const MOST_FAILURES = 20;
const ACCEPT_BACK_OFF = { firstMs: 20, factor: 2, longestMs: 2_000, jitter: 0.2 } as const;

/**
 * Says over a connection to the other process where to connect. Everything that follows reaches that host.
 *
 * Errors of the socket are the caller's from then on; one without a listener would end the process, and the other one
 * can close at any time.
 *
 * @throws The socket's error, or that it is closed.
 */
export async function sayWhere(socket: Socket, endpoint: Endpoint): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  socket.on("error", reject);
  socket.once("close", () => reject(new Error("The connection was closed")));
  if (socket.destroyed) reject(new Error("The connection is closed"));
  socket.write(utf8(`${endpointText(endpoint)}\n`), (error) => error ? reject(error) : resolve());
  await promise;
}

/** The options of {@linkcode serveDials}. */
export interface DialOptions {
  /** The Unix socket to listen on. */
  readonly path: string;
  /** The only port that is connected to. */
  readonly port: number;
  readonly clock: Pick<Clock, "sleep">;
}

/**
 * Connects callers to IP addresses until the signal.
 *
 * @throws {BootstrapError} `system/listen` if the socket cannot be made, or accepts no more connections.
 */
export async function serveDials({ path, port, clock }: DialOptions, signal: AbortSignal): Promise<void> {
  const listener = await listenOnUnixSocket(path);
  const open = new Set<Deno.Conn>();
  let callers = 0;
  const close = () => {
    closeQuietly(listener);
    for (const conn of open) closeQuietly(conn);
  };
  using _stopping = onAbort(signal, close);
  try {
    await retry(async (startOver) => {
      for await (const caller of listener) {
        startOver();
        if (callers >= MOST_CONNECTIONS) {
          closeQuietly(caller);
          continue;
        }
        callers++;
        open.add(caller);
        connect(caller, port, open).finally(() => {
          callers--;
          open.delete(caller);
        });
      }
    }, {
      ...{ clock, signal, random: Math.random, maximumTries: MOST_FAILURES, backOff: ACCEPT_BACK_OFF },
      isRetriable: () => true,
    });
  } catch (cause) {
    if (!signal.aborted) throw new BootstrapError("system/listen", `Cannot accept connections on ${path}`, { cause });
  } finally {
    close();
  }
}

/** Connects one caller, and passes bytes on until both ends are silent. Failures close the connection. */
async function connect(caller: Deno.Conn, port: number, open: Set<Deno.Conn>): Promise<void> {
  let host: Deno.Conn | undefined;
  try {
    const late = setTimeout(() => closeQuietly(caller), DEADLINE_MS);
    const said = await readWhere(caller);
    clearTimeout(late);
    const endpoint = said && readWhereLine(said.line, port);
    if (said === undefined || endpoint === undefined) return;
    host = await Deno.connect({
      hostname: endpoint.host,
      port: endpoint.port,
      signal: AbortSignal.timeout(DEADLINE_MS),
    });
    open.add(host);
    const writer = host.writable.getWriter();
    if (said.rest.length > 0) await writer.write(said.rest);
    writer.releaseLock();
    await Promise.all([caller.readable.pipeTo(host.writable), host.readable.pipeTo(caller.writable)]);
  } catch {
    // The caller sees that the connection ends, and says what that means.
  } finally {
    closeQuietly(caller);
    if (host !== undefined) {
      open.delete(host);
      closeQuietly(host);
    }
  }
}

/** Reads the first line, without its end, and what came with it; `undefined` if it does not come or is too long. */
async function readWhere(
  caller: Deno.Conn,
): Promise<{ readonly line: Bytes; readonly rest: Bytes } | undefined> {
  const buffer = new Uint8Array(4096);
  let bytes: Bytes = new Uint8Array(0);
  while (bytes.length <= MAXIMUM_LINE_BYTES) {
    const count = await caller.read(buffer);
    if (count === null) return undefined;
    bytes = concat(bytes, buffer.subarray(0, count));
    const end = bytes.indexOf(LINE_END);
    if (end >= 0) {
      return end > MAXIMUM_LINE_BYTES ? undefined : { line: bytes.slice(0, end), rest: bytes.slice(end + 1) };
    }
  }
  return undefined;
}

/** Reads the first line, without its end; `undefined` if it is no IP address with the permitted port. */
export function readWhereLine(line: Uint8Array, port: number): Endpoint | undefined {
  try {
    const endpoint = readEndpoint(fromUtf8(line, "address"), "address");
    return isIP(endpoint.host) !== 0 && endpoint.port === port ? endpoint : undefined;
  } catch {
    return undefined;
  }
}

function closeQuietly(conn: Pick<Deno.Conn, "close">): void {
  try {
    conn.close();
  } catch {
    // It is closed already.
  }
}
