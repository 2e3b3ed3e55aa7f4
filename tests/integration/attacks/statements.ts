/**
 * Statements that evidence must not cover, all of the same connection: those of the other exchange, of the other
 * direction, of another version of the protocol, and values that the peer itself chose.
 *
 * @module
 */
import type { InitContext, NodeStatement, SignatureTag } from "../../../protocol/transcript.ts";
import {
  fileStatement,
  helloStatement,
  initA1,
  initA2,
  joinA1,
  joinA2,
  LABEL,
  lengthPrefixed,
} from "../../../protocol/transcript.ts";
import type { KeyPair } from "../../../certificate/keys.ts";
import { SIGN_ALGORITHMS } from "../../../certificate/keys.ts";
import type { Bytes } from "../../../platform/bytes.ts";
import { concat, copyOf, fromUtf8, sha256, utf8 } from "../../../platform/bytes.ts";
import type { JoinSeen } from "./join_attacks.ts";

/** Makes statements from the values that an attacker has seen, by name. */
type Statements<Seen> = Readonly<Record<string, (seen: Seen) => Bytes | Promise<Bytes>>>;

/** Labels of earlier and later versions of the protocol, and labels that begin with the real one. */
export const OTHER_LABELS: readonly string[] = ["bootstrapper/0", "bootstrapper/2", "bootstrapper/", ""];

/** The same encoding as in transcript.ts, for a version of the protocol that does not exist. */
async function tagged(label: string, tag: string, ...parts: readonly Uint8Array[]): Promise<Bytes> {
  return await sha256(utf8(label), utf8(tag), ...parts.map(lengthPrefixed));
}

/** A signature for a purpose, made by a version of the protocol that does not exist. */
export async function signOfVersion(keys: KeyPair, label: string, tag: SignatureTag, x: Uint8Array): Promise<Bytes> {
  const zero = new Uint8Array(1);
  const bytes = concat(utf8(label), zero, utf8(tag), zero, x);
  return new Uint8Array(await crypto.subtle.sign(SIGN_ALGORITHMS[keys.type], keys.privateKey, bytes));
}

/** What a service shows that shows nothing. */
export const NO_LISTS = { foundings: [], successions: [], documents: [] } as const;

/** Statements to use instead of A1 of an Init. */
export const INIT_STATEMENTS: Statements<InitContext> = {
  "A1 of a Join": (seen) => joinA1({ ...seen, lists: NO_LISTS }),
  "A2 of a Join": async (seen) => joinA2(await joinA1({ ...seen, lists: NO_LISTS }), nodeOf(seen)),
  "A2 of this Init": async (seen) => initA2(await initA1(seen), new Uint8Array()),
  "A1 without the operator's key": (seen) => initA1({ ...seen, operatorKey: new Uint8Array() }),
  "A1 of another cluster ID": (seen) => initA1({ ...seen, clusterId: new Uint8Array(32) }),
  "A1 with the nonces exchanged": (seen) => initA1(exchanged(seen)),
  "A1 with the operator's nonce as both": (seen) => initA1({ ...seen, serverNonce: seen.clientNonce }),
  "the hello's": (seen) => helloStatement(seen.binding, seen.clientNonce),
  "the operator's nonce": (seen) => copyOf(seen.clientNonce),
  "the channel binding": (seen) => copyOf(seen.binding),
  "a file's": (seen) => fileStatement(seen.clientNonce),
  ...Object.fromEntries(["join", "node", "operator", "file", ""].map((tag) => [
    `A1's values with the tag "${tag}"`,
    ({ binding, clientNonce, serverNonce, operatorKey, clusterId }: InitContext) =>
      tagged(fromUtf8(LABEL, "label"), tag, binding, clientNonce, serverNonce, operatorKey, clusterId),
  ])),
  ...Object.fromEntries(OTHER_LABELS.map((label) => [
    `A1 of the protocol "${label}"`,
    ({ binding, clientNonce, serverNonce, operatorKey, clusterId }: InitContext) =>
      tagged(label, "init", binding, clientNonce, serverNonce, operatorKey, clusterId),
  ])),
};

/** Statements to use instead of A2 of a Join. */
export const JOIN_STATEMENTS: Statements<JoinSeen> = {
  "A1 of this Join, the service's own": (seen) => seen.a1,
  "A1 of an Init": (seen) => initA1({ ...seen, operatorKey: seen.nodeKey }),
  "A2 of an Init": (seen) => initA2(seen.a1, seen.request),
  "A2 after an Init's A1": async (seen) => joinA2(await initA1({ ...seen, operatorKey: seen.nodeKey }), seen),
  "A2 of another cluster": async (seen) => joinA2(await joinA1({ ...seen, clusterId: new Uint8Array(32) }), seen),
  "A2 of other foundings": async (seen) => joinA2(await joinA1({ ...seen, lists: NO_LISTS }), seen),
  "A2 with the nonces exchanged": async (seen) => joinA2(await joinA1(exchanged(seen)), seen),
  "A2 of another request": (seen) => joinA2(seen.a1, { ...seen, request: new Uint8Array() }),
  "the hello's of an Init": (seen) => helloStatement(seen.binding, seen.clientNonce),
  "the service's nonce": (seen) => copyOf(seen.serverNonce),
  "the channel binding": (seen) => copyOf(seen.binding),
  "a file's": (seen) => fileStatement(seen.serverNonce),
  ...Object.fromEntries(["init", "join", "operator", "file", ""].map((tag) => [
    `A2's values with the tag "${tag}"`,
    async ({ a1, nodeKey, sealingKey, request }: JoinSeen) =>
      tagged(fromUtf8(LABEL, "label"), tag, a1, nodeKey, sealingKey, await sha256(request)),
  ])),
  ...Object.fromEntries(OTHER_LABELS.map((label) => [
    `A2 of the protocol "${label}"`,
    async ({ a1, nodeKey, sealingKey, request }: JoinSeen) =>
      tagged(label, "node", a1, nodeKey, sealingKey, await sha256(request)),
  ])),
};

function exchanged<T extends Pick<InitContext, "clientNonce" | "serverNonce">>(seen: T): T {
  return { ...seen, clientNonce: seen.serverNonce, serverNonce: seen.clientNonce };
}

function nodeOf({ operatorKey, clientNonce, clusterId }: InitContext): NodeStatement {
  return { nodeKey: operatorKey, sealingKey: clientNonce, request: clusterId };
}
