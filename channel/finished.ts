/**
 * The channel binding of a TLS connection, from the runtime's `Finished` hooks.
 *
 * The runtime implements `getFinished()` and `getPeerFinished()` with TLS exporters: 32 bytes, fresh for each
 * connection, and equal crosswise. This is undocumented, so {@linkcode proveChannelBinding} verifies it on this machine
 * before it is relied on.
 *
 * @module
 */
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { connect, createServer } from "node:tls";
import type { ConnectionOptions, TlsOptions, TLSSocket } from "node:tls";
import { createThrowAwayCertificate } from "../certificate/throw_away.ts";
import type { ThrowAwayCertificate } from "../certificate/throw_away.ts";
import type { Bytes } from "../platform/bytes.ts";
import { copyOf, equalBytes, hex, randomBytes } from "../platform/bytes.ts";
import { BootstrapError } from "../platform/errors.ts";
import { channelBinding } from "../protocol/transcript.ts";

const ALPN = "h2";
/**
 * A certificate whose key was thrown away. No peer is believed for it: `rejectUnauthorized` is off. With no certificate
 * at all to believe in, as `closeProcessNetwork()` leaves the process, the runtime breaks off every handshake even so
 * ("unable to verify the first certificate", 2.9.5).
 */
const UNUSED_ANCHOR = `-----BEGIN CERTIFICATE-----
MIIBmTCCAT+gAwIBAgIQQaIKrYaLFdDYKqiL4K+vbzAKBggqhkjOPQQDAjAXMRUw
EwYDVQQDDAxib290c3RyYXBwZXIwHhcNMjYxMTI5MDMyOTU1WhcNMjYxMjAxMDMy
OTU1WjAXMRUwEwYDVQQDDAxib290c3RyYXBwZXIwWTATBgcqhkjOPQIBBggqhkjO
PQMBBwNCAAQQ3IH32KlvM5RGTuCCKyTOBAknIkJhr120yuNfaxvRf9cmhK2SvRsJ
5lvZjhETS/q8AB92dUcNz4/T5KbymKFCo20wazAOBgNVHQ8BAf8EBAMCB4AwEwYD
VR0lBAwwCgYIKwYBBQUHAwEwDAYDVR0TAQH/BAIwADAdBgNVHQ4EFgQUfJoX4Ndr
PxQmRFffzM0PNL81C4UwFwYDVR0RBBAwDoIMYm9vdHN0cmFwcGVyMAoGCCqGSM49
BAMCA0gAMEUCIQDamvR+LmgTAirlpVAzyvlnlKuuHPxyuLDqdOLMUjZPOAIgFRks
xtvoKCXFz6+es83scyqNDyFZWdgbOUiZHSRGBPA=
-----END CERTIFICATE-----
`;

/**
 * TLS options of a client: TLS 1.3 only. The certificate is not verified, because the channel binding replaces it.
 *
 * The runtime has one session cache by server name for the whole process, and would resume sessions from it. Every
 * connection therefore uses another server name.
 */
export function clientTlsOptions(): ConnectionOptions {
  return {
    servername: `${hex(randomBytes(16))}.invalid`,
    rejectUnauthorized: false,
    ca: [UNUSED_ANCHOR],
    minVersion: "TLSv1.3",
    maxVersion: "TLSv1.3",
    ALPNProtocols: [ALPN],
  };
}

/** TLS options of a server with a throw-away certificate. */
export function serverTlsOptions(certificate: ThrowAwayCertificate): TlsOptions {
  return {
    key: certificate.keyPem,
    cert: certificate.certificatePem,
    minVersion: "TLSv1.3",
    maxVersion: "TLSv1.3",
    ALPNProtocols: [ALPN],
  };
}

/**
 * Computes CB of an established connection.
 *
 * @param socket The socket, after its handshake.
 * @param side This process's side of the connection.
 * @throws {BootstrapError} `protocol/tls` for another TLS version, a resumed session or another application protocol;
 *   `internal/channel-binding` if the runtime's values are unusable.
 */
export function bindingOf(socket: TLSSocket, side: "client" | "server"): Promise<Bytes> {
  const version = socket.getProtocol();
  if (version !== "TLSv1.3") {
    throw new BootstrapError(
      "protocol/tls",
      `Cannot use a connection of ${version ?? "unknown TLS version"}, only TLSv1.3`,
    );
  }
  if (socket.isSessionReused()) throw new BootstrapError("protocol/tls", "Cannot use a resumed TLS session");
  if (socket.alpnProtocol !== ALPN) throw new BootstrapError("protocol/tls", "The peer did not choose HTTP/2 by ALPN");
  const own = copyOf(socket.getFinished() ?? new Uint8Array());
  const peer = copyOf(socket.getPeerFinished() ?? new Uint8Array());
  return channelBinding(side === "client" ? { client: own, server: peer } : { client: peer, server: own });
}

async function bindBothEnds(certificate: ThrowAwayCertificate): Promise<{ client: Bytes; server: Bytes }> {
  const accepted = Promise.withResolvers<TLSSocket>();
  const listener = createServer(serverTlsOptions(certificate), accepted.resolve);
  listener.on("tlsClientError", accepted.reject);
  listener.listen(0, "127.0.0.1");
  await once(listener, "listening");
  const { port } = listener.address() as AddressInfo;
  const outgoing = connect({ ...clientTlsOptions(), host: "127.0.0.1", port });
  try {
    const [incoming] = await Promise.all([accepted.promise, once(outgoing, "secureConnect")]);
    const both = { client: await bindingOf(outgoing, "client"), server: await bindingOf(incoming, "server") };
    incoming.destroy();
    return both;
  } finally {
    outgoing.destroy();
    listener.close();
  }
}

/**
 * Verifies, with two loopback connections, that both ends get the same binding and that every connection has its own.
 *
 * @throws {BootstrapError} `internal/channel-binding` if not: the protocol would be unsafe.
 */
export async function proveChannelBinding(): Promise<void> {
  const certificate = await createThrowAwayCertificate();
  const first = await bindBothEnds(certificate);
  const second = await bindBothEnds(certificate);
  if (!equalBytes(first.client, first.server) || !equalBytes(second.client, second.server)) {
    throw new BootstrapError("internal/channel-binding", "The two ends of one TLS connection do not share a binding");
  }
  if (equalBytes(first.client, second.client)) {
    throw new BootstrapError("internal/channel-binding", "Two TLS connections have the same binding");
  }
}
