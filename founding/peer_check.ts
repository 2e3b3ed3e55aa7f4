/**
 * What a founder asks of another one, by its own trust part: both ends of the exchange ask the same.
 *
 * @module
 */
import type { ActivationChallenge, EvidenceCheck, Expectation, VerifiedEvidence } from "../attestation/evidence.ts";
import { FRESH } from "../attestation/evidence.ts";
import { verifyEvidence } from "../attestation/verify_evidence.ts";
import { checkFounderCertificate } from "../certificate/founder_certificate.ts";
import type { Bytes } from "../platform/bytes.ts";
import { copyOf, equalBytes, hex, sha256 } from "../platform/bytes.ts";
import { readEndpoint } from "../platform/endpoint.ts";
import { BootstrapError } from "../platform/errors.ts";
import type { FounderStatement } from "../proto/gen/bootstrapper.ts";
import { checkActivationAnswer } from "../protocol/activation.ts";
import { refusal } from "../protocol/refusal.ts";
import { verify } from "../protocol/signature.ts";
import type { RosterEntry } from "../protocol/transcript.ts";
import { lockDigest } from "../protocol/transcript.ts";
import { malformedMessage } from "./_message.ts";
import { type Card, readCard } from "./card.ts";
import { identityOf, sameEntry } from "./entry.ts";
import type { Founder, MetFounder } from "./founder.ts";

/** The peer of an exchange. */
export interface FounderPeer {
  /** Whom its verification is counted for: the address that was dialled, or the peer's own. */
  readonly address: string;
  /** Aborts when it is gone. */
  readonly gone: AbortSignal;
  /** Lets refusals to it contain more than their code. */
  explainRefusals(): void;
}

/** A founder whose statement was checked. It is not met before it has answered the challenge. */
export interface CheckedFounder extends MetFounder {
  /** B, which the answer must be for. */
  readonly b: Bytes;
  readonly challenge?: VerifiedEvidence["challenge"];
}

/**
 * Returns what a founder must show: the own trust part, and no lock. Only an entry of the own pledged roster may show the
 * lock of the cluster that its card names: it was verified fresh, and its key speaks for it since.
 *
 * @param pledged The pledged entry of the peer's certificate, if there is one.
 * @param keyDigest SHA-256 of the SPKI of the peer's key.
 */
export async function peerExpectation(
  { trustDigest }: Pick<Founder, "trustDigest">,
  pledged: RosterEntry | undefined,
  { clusterId }: Pick<Card, "clusterId">,
  keyDigest: Uint8Array,
): Promise<Expectation> {
  const mayBeLocked = pledged !== undefined && clusterId.length > 0;
  return {
    trust: [trustDigest],
    lock: mayBeLocked ? [FRESH, await lockDigest(clusterId)] : [FRESH],
    identity: hex(keyDigest),
  };
}

/**
 * Checks step 3 or step 5: card, certificate, the signatures of F and of the token, and the evidence.
 *
 * @param b B of this connection, over what was received.
 * @throws {BootstrapError} `malformed/…`, `refused/…`, `unauthorized/founder`, `conflict/founder-key`,
 *   `conflict/self-dial`, `unavailable/founder-busy`.
 */
export async function checkStatement(
  message: FounderStatement,
  b: Bytes,
  own: Founder,
  peer: FounderPeer,
): Promise<CheckedFounder> {
  const card = await readCard(message.card);
  const { host } = readEndpoint(card.address, "address");
  const { spki } = await checkFounderCertificate(message.certificate, host);
  await verify(spki, "founder", b, message.signature);
  await checkToken(message.tokenSignature, "founder", () => Promise.resolve(b), own);
  if (equalBytes(spki, own.key.keys.spki)) throw ownKey(card, own, peer);
  const certificate = copyOf(message.certificate);
  const keyDigest = await sha256(spki);
  const pledged = own.pledged()?.find((entry) => equalBytes(entry.certificate, certificate));
  const verified = await checkEvidence(message, b, own, peer, await peerExpectation(own, pledged, card, keyDigest));
  const identity = await identityOf({ certificate }, verified?.claims, own.attestation?.verifier.identityIsKey);
  const entry: RosterEntry = { identity, name: card.name, address: card.address, certificate };
  checkLock(card, verified, pledged, entry);
  return { entry, keyDigest, card, b, ...(verified?.challenge === undefined ? {} : { challenge: verified.challenge }) };
}

/**
 * Step 4 or step 6: the TPM of the evidence is at the other end. The peer is verified wholly then. Without a challenge,
 * it is already.
 *
 * @param ask Sends the challenge, and returns the answer.
 * @throws {BootstrapError} `refused/activation`; `precondition/founders-pledged` for a machine outside the own pledged
 *   roster, which is told so only now.
 */
export async function challengePeer(
  { b, challenge, entry, keyDigest, card }: CheckedFounder,
  own: Founder,
  ask: (challenge: ActivationChallenge) => Promise<Uint8Array>,
): Promise<MetFounder> {
  if (challenge !== undefined) await checkActivationAnswer(await ask(challenge.message), challenge.secret, b);
  const pledged = own.pledged();
  if (pledged !== undefined && !pledged.some((one) => sameEntry(one, entry))) throw outside(pledged, entry);
  return { entry, keyDigest, card };
}

/**
 * Checks that the peer has the token, if the own trust part has one. Otherwise there must be no signature.
 *
 * @throws {BootstrapError} `unauthorized/founder`, `malformed/founder-message`.
 */
export async function checkToken(
  signature: Uint8Array,
  tag: "found-c" | "found-s" | "founder",
  statement: () => Promise<Bytes>,
  { trust: { founding: { tokenKey } } }: Pick<Founder, "trust">,
): Promise<void> {
  if (tokenKey.length === 0) {
    if (signature.length === 0) return;
    throw malformedMessage("token_signature", "the trust part has no token");
  }
  try {
    await verify(tokenKey, tag, await statement(), signature);
  } catch (cause) {
    throw new BootstrapError("unauthorized/founder", "The peer does not show the founding token", { cause });
  }
}

async function checkEvidence(
  { evidence }: FounderStatement,
  b: Bytes,
  { attestation, verifications }: Founder,
  peer: FounderPeer,
  expectation: Expectation,
): Promise<VerifiedEvidence | undefined> {
  if (attestation === undefined) {
    if (evidence === undefined) return undefined;
    throw malformedMessage("evidence", "the trust part has no policy");
  }
  if (evidence === undefined) throw new BootstrapError("refused/evidence", "The founder sent no evidence");
  const { verifier } = attestation;
  const passed = new Set<string>();
  const report = ({ check, passed: isPassed }: EvidenceCheck) => void (isPassed && passed.add(check));
  const { vendorChecks = [], identityCheck } = verifier;
  try {
    return await verifications.run(
      peer.address,
      peer.gone,
      () => verifyEvidence(verifier, evidence, b, expectation, report),
    );
  } finally {
    // A machine that the policy knows hears what is wrong with it, and its people do. Others must not learn the policy.
    const isVendors = vendorChecks.length > 0 && vendorChecks.every((check) => passed.has(check));
    if (isVendors || (identityCheck !== undefined && passed.has(identityCheck))) peer.explainRefusals();
  }
}

/** A lock is shown only by the very machine and key of the pledged roster. */
function checkLock(
  { clusterId }: Card,
  verified: VerifiedEvidence | undefined,
  pledged: RosterEntry | undefined,
  entry: RosterEntry,
): void {
  const isLocked = clusterId.length > 0 || verified?.claims.fresh === false;
  if (!isLocked || (pledged !== undefined && sameEntry(pledged, entry))) return;
  throw refusal(
    "founder-lock",
    `${entry.name} is locked to a cluster, so it cannot found one`,
    "no lock",
    clusterId.length > 0 ? hex(clusterId) : "a lock",
  );
}

function ownKey({ name, address, instance }: Card, own: Founder, peer: FounderPeer): BootstrapError {
  if (equalBytes(instance, own.instance)) {
    return new BootstrapError("conflict/self-dial", `${peer.address} is this machine itself`);
  }
  own.noteOwnKey({ peer: peer.address, name, address });
  const message =
    `${name} (${address}), seen at ${peer.address}, has the key of ${own.entry.name}: a cloned disk, or a ` +
    "second `bootstrapper run`";
  return new BootstrapError("conflict/founder-key", message, { details: { name, address, peer: peer.address } });
}

function outside(pledged: readonly RosterEntry[], { name, address }: RosterEntry): BootstrapError {
  const names = pledged.map((entry) => entry.name).join(", ");
  const message = `The founders ${names} have pledged without ${name} (${address}): it is no founder, and joins later`;
  return new BootstrapError("precondition/founders-pledged", message, { details: { founders: names } });
}
