/**
 * The transcript of the two exchanges: every byte string that is hashed or signed, written once for both ends.
 *
 * `H` is SHA-256, `LP(x)` is `u32be(length) ‖ x`, and every hash starts with the label and a tag of its own, so that no
 * value of one step can pass for one of another.
 *
 * @module
 */
import type { Bytes } from "../platform/bytes.ts";
import { compareBytes, concat, isZero, sha256, u32be, utf8 } from "../platform/bytes.ts";
import { BootstrapError } from "../platform/errors.ts";

/** The protocol and its version; the first bytes of everything that is hashed or signed. */
export const LABEL: Bytes = utf8("bootstrapper/1");

const ZERO_REGISTER = new Uint8Array(32);
const SEPARATOR = new Uint8Array(1);

/** `u32be(length) ‖ x`. */
export function lengthPrefixed(bytes: Uint8Array): Bytes {
  return concat(u32be(bytes.length), bytes);
}

function tagged(tag: string, ...parts: readonly Uint8Array[]): Promise<Bytes> {
  return sha256(LABEL, utf8(tag), ...parts.map(lengthPrefixed));
}

/** What a signature is for; a signature made for one purpose is none for another. */
export type SignatureTag = "hello" | "request" | "founding" | "service";

/** The bytes that are signed: `label ‖ 00 ‖ tag ‖ 00 ‖ x`. The only way anything is signed. */
export function signedBytes(tag: SignatureTag, x: Uint8Array): Bytes {
  return concat(LABEL, SEPARATOR, utf8(tag), SEPARATOR, x);
}

/** The two `Finished` values of a TLS connection, in roles: the client's and the server's. */
export interface FinishedValues {
  /** 32 bytes. */
  readonly client: Uint8Array;
  /** 32 bytes. */
  readonly server: Uint8Array;
}

const FINISHED_LENGTH = 32;

/**
 * CB, the channel binding: 32 bytes that both ends of one TLS connection share, and nobody else.
 *
 * @throws {BootstrapError} `internal/channel-binding` if a value is not 32 bytes, zero, or equal to its counterpart.
 */
export function channelBinding(finished: FinishedValues): Promise<Bytes> {
  for (const [side, value] of [["client", finished.client], ["server", finished.server]] as const) {
    if (value.length !== FINISHED_LENGTH || isZero(value)) {
      throw new BootstrapError("internal/channel-binding", `The TLS library gave no usable Finished value (${side})`);
    }
  }
  if (compareBytes(finished.client, finished.server) === 0) {
    throw new BootstrapError("internal/channel-binding", "The TLS library gave the same Finished value for both sides");
  }
  return tagged("cb", finished.client, finished.server);
}

/** The trust part of a node's configuration: whom the node obeys. */
export interface TrustPart {
  /** The cluster's name. */
  readonly clusterName: string;
  /** The cluster ID, 32 bytes, or empty where it is not known beforehand. */
  readonly clusterId: Uint8Array;
  /** SPKIs of the operators' Ed25519 keys, DER, in any order. */
  readonly operatorKeys: readonly Uint8Array[];
}

/** D12, the digest that is measured into PCR 12. */
export function trustDigest(trust: TrustPart): Promise<Bytes> {
  const keys = [...trust.operatorKeys].sort(compareBytes);
  return tagged("trust", utf8(trust.clusterName), trust.clusterId, ...keys);
}

/** D15, the digest that is measured into PCR 15 when the node locks. */
export function lockDigest(clusterId: Uint8Array): Promise<Bytes> {
  return tagged("lock", clusterId);
}

/** `ext(D)`, what a SHA-256 register that was zero holds after `digest` was extended into it. */
export function extendedOnce(digest: Uint8Array): Promise<Bytes> {
  return sha256(ZERO_REGISTER, digest);
}

/** What `hello` signs: `H(LP(CB) ‖ LP(N_c))`. */
export function helloStatement(binding: Uint8Array, clientNonce: Uint8Array): Promise<Bytes> {
  return sha256(lengthPrefixed(binding), lengthPrefixed(clientNonce));
}

/** What `founding` signs: `LP(cluster_id) ‖ LP(cluster name)`. */
export function foundingStatement(clusterId: Uint8Array, clusterName: string): Bytes {
  return concat(lengthPrefixed(clusterId), lengthPrefixed(utf8(clusterName)));
}

/** The values that both ends of an Init know before evidence is made. */
export interface InitContext {
  /** CB. */
  readonly binding: Uint8Array;
  /** N_c, 32 bytes. */
  readonly clientNonce: Uint8Array;
  /** N_s, 32 bytes. */
  readonly serverNonce: Uint8Array;
  /** SPKI of the operator key of the hello, DER. */
  readonly operatorKey: Uint8Array;
  /** The proposed cluster ID, 32 bytes. */
  readonly clusterId: Uint8Array;
}

/** A1 of an Init: what the InitServer's evidence is over. */
export function initA1(context: InitContext): Promise<Bytes> {
  const { binding, clientNonce, serverNonce, operatorKey, clusterId } = context;
  return tagged("init", binding, clientNonce, serverNonce, operatorKey, clusterId);
}

/** A2 of an Init: what the operator's request signature is over. `request` is the request as it crosses the wire. */
export async function initA2(a1: Uint8Array, request: Uint8Array): Promise<Bytes> {
  return tagged("operator", a1, await sha256(request));
}

/** The values that both ends of a Join know before the service signs. */
export interface JoinContext {
  /** CB. */
  readonly binding: Uint8Array;
  /** N_c, 32 bytes. */
  readonly clientNonce: Uint8Array;
  /** N_s, 32 bytes. */
  readonly serverNonce: Uint8Array;
  /** The service's cluster ID, 32 bytes. */
  readonly clusterId: Uint8Array;
}

/** A1 of a Join: what the service's signature is over. */
export function joinA1(context: JoinContext): Promise<Bytes> {
  return tagged("join", context.binding, context.clientNonce, context.serverNonce, context.clusterId);
}

/** What a node binds to its evidence in a Join. */
export interface NodeStatement {
  /** SPKI_c, the SPKI of the kubelet's key, DER. */
  readonly nodeKey: Uint8Array;
  /** E_c, the public key that a control plane's keys are sealed to, 32 bytes (X25519). */
  readonly sealingKey: Uint8Array;
  /** The request as it crosses the wire. */
  readonly request: Uint8Array;
}

/** A2 of a Join: what the node's evidence and its request signature are over. */
export async function joinA2(a1: Uint8Array, node: NodeStatement): Promise<Bytes> {
  return tagged("node", a1, node.nodeKey, node.sealingKey, await sha256(node.request));
}

/**
 * What evidence that is kept in a file is over. The tag is of no exchange and the nonce is by the process that made the file,
 * so such evidence proves nothing on any connection.
 *
 * @param nonce 32 bytes.
 */
export function fileStatement(nonce: Uint8Array): Promise<Bytes> {
  return tagged("file", nonce);
}
