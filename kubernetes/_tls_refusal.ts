import { onAbort } from "../platform/abortable.ts";

/** How long the server may take for its part: the call before has just reached it, or failed to. */
const HANDSHAKE_DEADLINE_MS = 5_000;
const HTTPS_PORT = 443;

/**
 * Why a server's TLS is refused: its certificate is not by the CA, not for this name, not valid now, or the server speaks no TLS.
 * `fetch` throws one class of error for all that goes wrong; the error of a handshake tells these from a server that is not there.
 *
 * @param server Its URL.
 * @param caPem The CA certificate, PEM.
 * @param signal Ends the handshake.
 * @returns The error of the handshake; `undefined` where it succeeds, and where the server cannot be reached.
 */
export async function tlsRefusal(server: URL, caPem: string, signal?: AbortSignal): Promise<Error | undefined> {
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
    const tls = await Deno.startTls(tcp, { hostname, caCerts: [caPem] });
    connection = tls;
    await tls.handshake();
    return undefined;
  } catch (error) {
    return error instanceof Deno.errors.InvalidData ? error : undefined;
  } finally {
    close();
  }
}
