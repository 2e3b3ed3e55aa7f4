import { onAbort } from "../platform/abortable.ts";

/**
 * The time limit of the server's part of the handshake. The preceding call has just reached the server, or failed to.
 */
const HANDSHAKE_DEADLINE_MS = 5_000;
const HTTPS_PORT = 443;

/**
 * Finds out why TLS with a server fails: the CA did not issue its certificate, the certificate is for another name or
 * not valid now, or the server does not speak TLS. `fetch` throws the same class of error for every failure; the error
 * of a handshake distinguishes these cases from an unreachable server.
 *
 * @param server The server's URL.
 * @param caCertificates The CA certificates, PEM.
 * @param signal Ends the handshake.
 * @returns The error of the handshake; `undefined` if it succeeds or the server cannot be reached.
 */
export async function tlsRefusal(
  server: URL,
  caCertificates: readonly string[],
  signal?: AbortSignal,
): Promise<Error | undefined> {
  const hostname = server.hostname.replace(/^\[(.*)\]$/, "$1");
  const port = server.port === "" ? HTTPS_PORT : Number(server.port);
  const deadline = AbortSignal.timeout(HANDSHAKE_DEADLINE_MS);
  const ended = signal === undefined ? deadline : AbortSignal.any([deadline, signal]);
  let connection: Deno.Conn | undefined;
  const close = () => connection?.[Symbol.dispose]();
  using _closing = onAbort(ended, close);
  try {
    const tcp = await Deno.connect({ hostname, port, signal: ended });
    connection = tcp;
    const tls = await Deno.startTls(tcp, { hostname, caCerts: [...caCertificates] });
    connection = tls;
    await tls.handshake();
    return undefined;
  } catch (error) {
    return error instanceof Deno.errors.InvalidData ? error : undefined;
  } finally {
    close();
  }
}
