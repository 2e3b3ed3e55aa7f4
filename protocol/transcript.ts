/**
 * The transcript of the two exchanges: every byte string that is hashed or signed, defined once for both ends.
 *
 * `H` is SHA-256, and `LP(x)` is `u32be(length) ‖ x`. Every hash starts with the label and its own tag, so that a value
 * of one step is never valid as a value of another.
 *
 * @module
 */
import type { Bytes } from "../platform/bytes.ts";
import { compareBytes, concat, isZero, sha256, u32be, utf8 } from "../platform/bytes.ts";
import { BootstrapError } from "../platform/errors.ts";

/** The protocol and its version, the first bytes of everything that is hashed or signed. */
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

/** The purpose of a signature. A signature for one purpose is invalid for any other. */
export type SignatureTag =
  | "hello"
  | "request"
  | "founding"
  | "service"
  | "identity"
  | "ticket"
  | "init-answer"
  | "found-c"
  | "found-s"
  | "founder"
  | "pledge"
  | "token-founding"
  | "token-join";

/** The bytes that are signed: `label ‖ 00 ‖ tag ‖ 00 ‖ x`. Nothing is signed in another form. */
export function signedBytes(tag: SignatureTag, x: Uint8Array): Bytes {
  return concat(LABEL, SEPARATOR, utf8(tag), SEPARATOR, x);
}

/** The two `Finished` values of a TLS connection, by role. */
export interface FinishedValues {
  /** 32 bytes. */
  readonly client: Uint8Array;
  /** 32 bytes. */
  readonly server: Uint8Array;
}

const FINISHED_LENGTH = 32;

/**
 * Computes CB, the channel binding: 32 bytes that only the two ends of one TLS connection share.
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

/** Whom the nodes of a cluster obey. */
export interface ClusterTrust {
  readonly clusterName: string;
  /** The cluster ID, 32 bytes; empty if it is not known beforehand. */
  readonly clusterId: Uint8Array;
  /** The SPKIs of the operators' Ed25519 keys, DER, in any order. */
  readonly operatorKeys: readonly Uint8Array[];
  /** How machines found the cluster among equals; absent where only an operator founds it. */
  readonly founding?: FoundingTrust;
}

/** The part of a trust part that is about founding among equals. At least one of its two ways of proof is there. */
export interface FoundingTrust {
  /** How many founders there are, 1 to 7. */
  readonly size: number;
  /** SHA-256 of the policy for founders, as RFC 8785 JSON in UTF-8, 32 bytes; empty without a policy. */
  readonly policyDigest: Uint8Array;
  /** SPKI of the token key, DER; empty without a token. */
  readonly tokenKey: Uint8Array;
}

/** The switches of a node's configuration that weaken a check, by their names there. */
export const INSECURE_SWITCHES = ["allowInsecure", "allowUnmeasuredImage"] as const;
/** One of {@linkcode INSECURE_SWITCHES}. */
export type InsecureSwitch = typeof INSECURE_SWITCHES[number];

/** The settings of a node's configuration that decide what its evidence is worth. */
export interface EvidenceSettings {
  /** The kinds of evidence that the node gives, in any order. */
  readonly variants: readonly string[];
  /** The switches that are on, in any order. */
  readonly switches: readonly InsecureSwitch[];
}

/** The trust part of a node's configuration: whom the node obeys, and what its evidence is worth. */
export interface TrustPart extends ClusterTrust, EvidenceSettings {}

const LIST_ITEM = /^[A-Za-z]+$/;

/**
 * D12, the digest that is measured into PCR 12.
 *
 * ```text
 * H(label ‖ "trust" ‖ LP(cluster name) ‖ LP(cluster ID or empty) ‖ LP(variants) ‖ LP(switches) ‖ u32be(n) ‖ LP(key)…
 *   [‖ LP("founding") ‖ LP(u32be(size)) ‖ LP(policy digest or empty) ‖ LP(token key or empty)])
 * ```
 *
 * Variants and switches are sorted and separated by commas. The `n` keys are sorted by their bytes. The last line is
 * there where the trust part has a founding.
 */
export function trustDigest(trust: TrustPart): Promise<Bytes> {
  const { clusterName, clusterId, operatorKeys, variants, switches, founding } = trust;
  const keys = [...operatorKeys].sort(compareBytes);
  const settings = [utf8(clusterName), clusterId, listBytes(variants), listBytes(switches)];
  return sha256(
    LABEL,
    utf8("trust"),
    ...settings.map(lengthPrefixed),
    u32be(keys.length),
    ...keys.map(lengthPrefixed),
    ...(founding === undefined ? [] : foundingParts(founding)),
  );
}

function foundingParts({ size, policyDigest, tokenKey }: FoundingTrust): Bytes[] {
  return [utf8("founding"), u32be(size), policyDigest, tokenKey].map(lengthPrefixed);
}

function listBytes(items: readonly string[]): Bytes {
  const odd = items.find((item) => !LIST_ITEM.test(item));
  if (odd === undefined) return utf8([...items].sort().join(","));
  throw new BootstrapError("internal/digest", `The name ${JSON.stringify(odd)} cannot be measured`);
}

/** D15, the digest that is measured into PCR 15 when the node locks. */
export function lockDigest(clusterId: Uint8Array): Promise<Bytes> {
  return tagged("lock", clusterId);
}

/** `ext(D)`: the value of a SHA-256 register that was zero before `digest` was extended into it. */
export function extendedOnce(digest: Uint8Array): Promise<Bytes> {
  return sha256(ZERO_REGISTER, digest);
}

/** The statement that `hello` signs: `H(LP(CB) ‖ LP(N_c))`. */
export function helloStatement(binding: Uint8Array, clientNonce: Uint8Array): Promise<Bytes> {
  return sha256(lengthPrefixed(binding), lengthPrefixed(clientNonce));
}

/** The statement that `founding` signs: `LP(cluster_id) ‖ LP(cluster name)`. */
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
  /** The SPKI of the operator key in the hello, DER. */
  readonly operatorKey: Uint8Array;
  /** The proposed cluster ID, 32 bytes. */
  readonly clusterId: Uint8Array;
}

/** A1 of an Init, which the InitServer's evidence covers. */
export function initA1(context: InitContext): Promise<Bytes> {
  const { binding, clientNonce, serverNonce, operatorKey, clusterId } = context;
  return tagged("init", binding, clientNonce, serverNonce, operatorKey, clusterId);
}

/** A2 of an Init, which the operator's request signature covers. `request` is the request as transmitted. */
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
  /** The lists that the service showed. */
  readonly lists: ShownLists;
}

/** The lists that a service shows about its cluster, each item as its own bytes. */
export interface ShownLists {
  /** The operators' foundings, each in its protobuf encoding. */
  readonly foundings: readonly Uint8Array[];
  /** Successions of the cluster's CA; empty in this version. */
  readonly successions: readonly Uint8Array[];
  /** Signed documents; empty in this version. */
  readonly documents: readonly Uint8Array[];
}

/** A1 of a Join, which the service's signature covers. */
export async function joinA1(context: JoinContext): Promise<Bytes> {
  const { binding, clientNonce, serverNonce, clusterId, lists: { foundings, successions, documents } } = context;
  const lists = await sha256(listed(foundings), listed(successions), listed(documents));
  return tagged("join", binding, clientNonce, serverNonce, clusterId, lists);
}

/** `u32be(n) ‖ LP(item) …`. */
function listed(items: readonly Uint8Array[]): Bytes {
  return concat(u32be(items.length), ...items.map(lengthPrefixed));
}

/** The values that a node binds to its evidence in a Join. */
export interface NodeStatement {
  /** SPKI_c, the SPKI of the kubelet's key, DER. */
  readonly nodeKey: Uint8Array;
  /** E_c, the public key to which a control plane's keys are sealed, 32 bytes (X25519). */
  readonly sealingKey: Uint8Array;
  /** The request as transmitted. */
  readonly request: Uint8Array;
}

/** A2 of a Join, which the node's evidence and its request signature cover. */
export async function joinA2(a1: Uint8Array, node: NodeStatement): Promise<Bytes> {
  return tagged("node", a1, node.nodeKey, node.sealingKey, await sha256(node.request));
}

/**
 * The statement that `ticket` and `init-answer` sign: `LP(A2) ‖ LP(H(answer))`.
 *
 * @param a2 A2 of the exchange, 32 bytes.
 * @param answer The answer as transmitted.
 */
export async function answerStatement(a2: Uint8Array, answer: Uint8Array): Promise<Bytes> {
  return concat(lengthPrefixed(a2), lengthPrefixed(await sha256(answer)));
}

/** What the token signs in step 1 of Found: `H(LP(CB) ‖ LP(N_c))`. */
export function foundClientStatement(binding: Uint8Array, clientNonce: Uint8Array): Promise<Bytes> {
  return sha256(lengthPrefixed(binding), lengthPrefixed(clientNonce));
}

/** What the token signs in step 2 of Found: `H(LP(CB) ‖ LP(N_c) ‖ LP(N_s))`. */
export function foundServerStatement(
  binding: Uint8Array,
  clientNonce: Uint8Array,
  serverNonce: Uint8Array,
): Promise<Bytes> {
  return sha256(lengthPrefixed(binding), lengthPrefixed(clientNonce), lengthPrefixed(serverNonce));
}

/** The values that two founders know before either makes evidence. */
export interface FoundContext {
  /** CB. */
  readonly binding: Uint8Array;
  /** N_c, 32 bytes. */
  readonly clientNonce: Uint8Array;
  /** N_s, 32 bytes. */
  readonly serverNonce: Uint8Array;
  /** D12 of the own trust part, never of what was received. */
  readonly trustDigest: Uint8Array;
}

/** A1 of Found. */
export function foundA1({ binding, clientNonce, serverNonce, trustDigest }: FoundContext): Promise<Bytes> {
  return tagged("found", binding, clientNonce, serverNonce, trustDigest);
}

/** What a founder says of itself in Found. */
export interface FounderSelf {
  /** Its self-signed certificate of F, DER. */
  readonly certificate: Uint8Array;
  /** Its card as transmitted. */
  readonly card: Uint8Array;
}

/** B_c, which C's evidence and its signatures cover. */
export async function founderClientStatement(a1: Uint8Array, { certificate, card }: FounderSelf): Promise<Bytes> {
  return tagged("founder-c", a1, certificate, await sha256(card));
}

/** B_s, which S's evidence and its signatures cover. It covers B_c, so S has seen whom it verified. */
export async function founderServerStatement(bc: Uint8Array, { certificate, card }: FounderSelf): Promise<Bytes> {
  return tagged("founder-s", bc, certificate, await sha256(card));
}

/** The salt of the founding token's key: `H(label ‖ "token" ‖ LP(cluster name))`. */
export function foundingTokenSalt(clusterName: string): Promise<Bytes> {
  return tagged("token", utf8(clusterName));
}

/** The info of the founding token's key: `label ‖ 00 ‖ "founding token"`. */
export function foundingTokenInfo(): Bytes {
  return concat(LABEL, SEPARATOR, utf8("founding token"));
}

/** What the token signs for joiners: `LP(cluster_id) ‖ LP(D12 with no cluster ID)`. */
export function tokenFoundingStatement(clusterId: Uint8Array, digest: Uint8Array): Bytes {
  return concat(lengthPrefixed(clusterId), lengthPrefixed(digest));
}

/** One founder in a roster. */
export interface RosterEntry {
  /** Its identity, lower-case hexadecimal, 64 digits. */
  readonly identity: string;
  /** Its name, an RFC 1123 label. */
  readonly name: string;
  /** `host:port` of its founding etcd's peer port. */
  readonly address: string;
  /** Its self-signed certificate of F, DER. */
  readonly certificate: Uint8Array;
}

/** The bytes of a roster's entry: `LP(identity) ‖ LP(name) ‖ LP(address) ‖ LP(certificate)`. */
export function rosterEntryBytes({ identity, name, address, certificate }: RosterEntry): Bytes {
  return concat(...[utf8(identity), utf8(name), utf8(address), certificate].map(lengthPrefixed));
}

/**
 * R, the digest of a roster: `H(label ‖ "roster" ‖ LP(D12) ‖ LP(entry) …)`. The entries are sorted by `H(SPKI of F)`.
 *
 * @param digest D12.
 * @param entries The entries' bytes, sorted.
 */
export function rosterDigest(digest: Uint8Array, entries: readonly Uint8Array[]): Promise<Bytes> {
  return tagged("roster", digest, ...entries);
}

/**
 * The statement that evidence in a file covers. No exchange uses its tag, and the process that made the file chose the
 * nonce, so such evidence proves nothing on any connection.
 *
 * @param nonce 32 bytes.
 */
export function fileStatement(nonce: Uint8Array): Promise<Bytes> {
  return tagged("file", nonce);
}
