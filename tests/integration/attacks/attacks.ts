/**
 * Code that the attackers of both exchanges share: a man in the middle, TPMs of their own, and TLS clients that break
 * the rules.
 *
 * @module
 */
import { once } from "node:events";
import type { AddressInfo, Socket } from "node:net";
import { connect as connectTcp } from "node:net";
import { connect, createServer } from "node:tls";
import type { ConnectionOptions, TLSSocket } from "node:tls";
import { clientTlsOptions, serverTlsOptions } from "../../../channel/finished.ts";
import type { Evidence, EvidenceVerifier } from "../../../attestation/evidence.ts";
import { ALGORITHM, GENERATED_VALUE, HANDLE, QUOTED_PCRS, TAG } from "../../../attestation/kinds/tpm/constants.ts";
import type { TpmIssuer } from "../../../attestation/kinds/tpm/issuer.ts";
import { createTpmIssuer } from "../../../attestation/kinds/tpm/issuer.ts";
import { decodePayload, encodePayload } from "../../../attestation/kinds/tpm/payload.ts";
import { encodePcrSelection } from "../../../attestation/kinds/tpm/pcr_selection.ts";
import { nameOf, readPublicArea, spkiOf } from "../../../attestation/kinds/tpm/public_area.ts";
import { ATTESTATION_KEY_TEMPLATE } from "../../../attestation/kinds/tpm/templates.ts";
import { Tpm } from "../../../attestation/kinds/tpm/tpm.ts";
import { createTpmVerifier } from "../../../attestation/kinds/tpm/verifier.ts";
import { tpmWriter } from "../../../attestation/kinds/tpm/wire.ts";
import { generateKeyPair, SIGN_ALGORITHMS } from "../../../certificate/keys.ts";
import type { ThrowAwayCertificate } from "../../../certificate/throw_away.ts";
import { createThrowAwayCertificate } from "../../../certificate/throw_away.ts";
import type { Bytes } from "../../../platform/bytes.ts";
import { concat, fromHex, hex, sha256, u32be, utf8 } from "../../../platform/bytes.ts";
import { systemClock } from "../../../platform/clock.ts";
import { hasSwtpm, startSwtpm } from "../../swtpm.ts";

/** The kind of endorsement key in these tests. A bare TPM makes such a key by itself. */
const EK_TYPE = "ecc-p256";
const ZERO = new Uint8Array(32);
/** The longest time that a test waits for an event that must happen. */
export const PATIENCE_MS = 20_000;

/** A machine with a real software TPM. */
export interface TpmMachine extends AsyncDisposable {
  /** Makes the machine's evidence honestly, and gives access to its PCRs. */
  readonly issuer: TpmIssuer;
  /** The machine's TPM, for everything else. */
  readonly tpm: Tpm;
  /** TPMT_PUBLIC of its endorsement key. */
  readonly endorsementKey: Bytes;
  /** The identity by which a verifier knows the machine. */
  readonly identity: string;
}

/** Makes a machine and boots it. Its PCRs are zero. */
export async function startTpmMachine(): Promise<TpmMachine> {
  const swtpm = await startSwtpm({ bare: true });
  try {
    const transport = await swtpm.connect();
    const issuer = createTpmIssuer(transport, EK_TYPE);
    const { endorsementKey } = decodePayload((await issuer.issue(ZERO)).payload);
    return {
      issuer,
      tpm: new Tpm(transport, systemClock),
      endorsementKey: new Uint8Array(endorsementKey),
      identity: hex(await sha256(spkiOf(readPublicArea(endorsementKey, "endorsement key").key))),
      async [Symbol.asyncDispose]() {
        transport.close();
        await swtpm[Symbol.asyncDispose]();
      },
    };
  } catch (error) {
    await swtpm[Symbol.asyncDispose]();
    throw error;
  }
}

/** A verifier that trusts these machines if their PCR 4 is zero. */
export function verifierFor(...machines: readonly Pick<TpmMachine, "identity">[]): EvidenceVerifier {
  const identities = new Set(machines.map(({ identity }) => identity));
  const pcrs = new Map([[4, [ZERO]]]);
  return createTpmVerifier({ ekType: EK_TYPE, pcrs, trust: { identities, issuers: [] } }, () => new Date());
}

/** Registers a test that needs swtpm. If swtpm is missing, the test says so and is ignored. */
export async function swtpmTest(name: string, run: (t: Deno.TestContext) => Promise<void>): Promise<void> {
  const isThere = await hasSwtpm();
  Deno.test({ name: isThere ? name : `${name} -- IGNORED: swtpm is not installed`, ignore: !isThere, fn: run });
}

/** Evidence of a machine whose attestation key is unrestricted, so that it signs anything else as well. */
export async function evidenceByUnrestrictedKey(
  { tpm, endorsementKey }: TpmMachine,
  statement: Bytes,
): Promise<Evidence> {
  const template = fromHex("0023000b0004007200000010" + "0018000b00030010" + "00000000", "template");
  const { handle, publicArea: attestationKey } = await tpm.createPrimary(HANDLE.endorsement, template);
  try {
    const quote = await tpm.quote(handle, statement, QUOTED_PCRS);
    const pcrs = await tpm.pcrRead(QUOTED_PCRS);
    const certificate = new Uint8Array();
    return { variant: "tpm", payload: encodePayload({ attestationKey, endorsementKey, certificate, ...quote, pcrs }) };
  } finally {
    await tpm.flushContext(handle);
  }
}

/**
 * A correct quote over PCRs of the attacker's choice, signed by an attestation key in software, together with the real
 * EK of another machine.
 */
export async function evidenceBySoftware(
  endorsementKey: Uint8Array,
  statement: Uint8Array,
  pcrs: readonly Uint8Array[],
): Promise<Evidence> {
  const keys = await generateKeyPair("p-256");
  const point = keys.spki.subarray(-64);
  const unique = tpmWriter().sized16(point.subarray(0, 32)).sized16(point.subarray(32)).done();
  const attestationKey = concat(ATTESTATION_KEY_TEMPLATE, unique);
  const qualified = await sha256(u32be(HANDLE.endorsement), await nameOf(attestationKey));
  const attest = tpmWriter().u32(GENERATED_VALUE).u16(TAG.attestQuote)
    .sized16(concat(Uint8Array.of(0, ALGORITHM.sha256), qualified)).sized16(statement)
    .u32(0).u32(1).u32(9).u32(0).u8(1).u32(0).u32(0)
    .bytes(encodePcrSelection(QUOTED_PCRS)).sized16(await sha256(...pcrs)).done();
  const raw = new Uint8Array(await crypto.subtle.sign(SIGN_ALGORITHMS["p-256"], keys.privateKey, attest));
  const signature = tpmWriter().u16(ALGORITHM.ecdsa).u16(ALGORITHM.sha256)
    .sized16(raw.subarray(0, 32)).sized16(raw.subarray(32)).done();
  const certificate = new Uint8Array();
  const payload = encodePayload({ attestationKey, endorsementKey, certificate, attest, signature, pcrs });
  return { variant: "tpm", payload };
}

/** The PCRs of a machine that measured only its configuration and perhaps its lock. */
export function pcrsWith(registers: Readonly<Record<number, Uint8Array>>): Uint8Array[] {
  return QUOTED_PCRS.map((index) => registers[index] ?? ZERO);
}

/** A man in the middle. */
export interface Middle extends AsyncDisposable {
  /** The port to which victims connect. */
  readonly port: number;
  /** The number of connections that he terminated and passed on. */
  readonly passedOn: number;
}

/**
 * Terminates TLS towards both sides, and passes on every byte between them.
 *
 * @param certificate A stolen certificate with its key. Default: one of his own.
 */
export async function terminateTls(upstreamPort: number, certificate?: ThrowAwayCertificate): Promise<Middle> {
  const open = new Set<TLSSocket>();
  let passedOn = 0;
  const listener = createServer(serverTlsOptions(certificate ?? await createThrowAwayCertificate()), (victim) => {
    const upstream = connect({ ...clientTlsOptions(), host: "127.0.0.1", port: upstreamPort }, () => passedOn++);
    for (const [from, to] of [[victim, upstream], [upstream, victim]] as const) {
      open.add(from);
      from.on("error", () => to.destroy());
      from.once("close", () => {
        open.delete(from);
        to.destroy();
      });
      from.pipe(to);
    }
  });
  listener.listen(0, "127.0.0.1");
  await once(listener, "listening");
  return {
    port: (listener.address() as AddressInfo).port,
    get passedOn() {
      return passedOn;
    },
    async [Symbol.asyncDispose]() {
      const closed = once(listener, "close");
      listener.close();
      for (const socket of open) socket.destroy();
      await closed;
    },
  };
}

/** Connects by TLS with options of the attacker's choice. */
export async function connectTls(port: number, options: ConnectionOptions): Promise<TLSSocket> {
  // A connection with certificates of its own to believe in has a cache of sessions of its own, and would resume none.
  const { ca: _, ...ours } = clientTlsOptions();
  const socket = connect({ ...ours, host: "127.0.0.1", port, ...options });
  try {
    await once(socket, "secureConnect", { signal: AbortSignal.timeout(PATIENCE_MS) });
    return socket;
  } catch (error) {
    socket.destroy();
    throw error;
  }
}

/** Connects and sends nothing, not even a TLS hello. */
export async function connectSilently(port: number): Promise<Socket> {
  const socket = connectTcp({ host: "127.0.0.1", port });
  await once(socket, "connect", { signal: AbortSignal.timeout(PATIENCE_MS) });
  return socket;
}

/** Resolves when the other side has ended the connection. */
export async function cutOff(socket: Socket): Promise<void> {
  socket.on("error", () => {});
  socket.resume();
  if (!socket.closed) await once(socket, "close", { signal: AbortSignal.timeout(PATIENCE_MS) });
}

/** Frame types and flags of HTTP/2 (RFC 9113, 6). */
const FRAME = Object.freeze({ data: 0x0, headers: 0x1, reset: 0x3, settings: 0x4 });
const END_HEADERS = 0x4;
const FRAME_HEADER_BYTES = 9;

/**
 * Opens gRPC streams on one connection by hand, ignoring the server's limits, and sends the same message on each.
 *
 * @param path The method, as `/bootstrapper.v1.JoinService/Join`.
 * @param messageFor Returns an encoded message for the connection.
 * @returns Whether each stream got a message back, once every stream was answered or reset, or the connection ended.
 */
export async function openStreams(
  port: number,
  path: string,
  messageFor: (socket: TLSSocket) => Uint8Array | Promise<Uint8Array>,
  count: number,
): Promise<boolean[]> {
  const socket = await connectTls(port, {});
  const message = await messageFor(socket);
  const ids = Array.from({ length: count }, (_, index) => 2 * index + 1);
  const outcomes = new Map<number, boolean>();
  const over = Promise.withResolvers<void>();
  let received = new Uint8Array();
  socket.on("error", () => {});
  socket.once("close", () => over.resolve());
  socket.on("data", (chunk: Uint8Array) => {
    received = concat(received, chunk);
    for (;;) {
      const length = (received[0] ?? 0) << 16 | (received[1] ?? 0) << 8 | (received[2] ?? 0);
      if (received.length < FRAME_HEADER_BYTES + length) break;
      const [, , , type, , , , , id = 0] = received;
      if (type === FRAME.data || type === FRAME.reset) outcomes.set(id, type === FRAME.data);
      received = received.slice(FRAME_HEADER_BYTES + length);
    }
    if (ids.every((id) => outcomes.has(id))) over.resolve();
  });
  socket.write(concat(
    utf8("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    frame(FRAME.settings, 0, 0, new Uint8Array()),
    ...ids.flatMap((id) => [
      frame(FRAME.headers, END_HEADERS, id, grpcHeaders(path)),
      frame(FRAME.data, 0, id, concat(Uint8Array.of(0), u32be(message.length), message)),
    ]),
  ));
  const patience = setTimeout(() => over.reject(new Error("the streams were neither served nor refused")), PATIENCE_MS);
  try {
    await over.promise;
  } finally {
    clearTimeout(patience);
    socket.destroy();
  }
  return ids.map((id) => outcomes.get(id) ?? false);
}

function frame(type: number, flags: number, stream: number, payload: Uint8Array): Bytes {
  return concat(u32be(payload.length).subarray(1), Uint8Array.of(type, flags), u32be(stream), payload);
}

/** The headers of a gRPC call in HPACK without any table (RFC 7541, 6.1 and 6.2.2): `POST`, `https`, and literals. */
function grpcHeaders(path: string): Bytes {
  const text = (value: string) => concat(Uint8Array.of(value.length), utf8(value));
  const literal = (name: string, value: string) => concat(Uint8Array.of(0), text(name), text(value));
  return concat(
    Uint8Array.of(0x83, 0x87),
    literal(":path", path),
    literal(":authority", "bootstrapper.invalid"),
    literal("content-type", "application/grpc"),
    literal("te", "trailers"),
  );
}
