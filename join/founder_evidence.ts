/**
 * How a node knows a cluster that no operator founded: by everything that its own trust part asks for, the token
 * founding and the evidence of a founder's machine.
 *
 * @module
 */
import type { EvidenceVerifier, Expectation, VerifiedEvidence } from "../attestation/evidence.ts";
import type { Policy } from "../attestation/policy/policy.ts";
import { roleOf } from "../attestation/policy/policy.ts";
import { verifyEvidence } from "../attestation/verify_evidence.ts";
import type { Exchange } from "../channel/exchange.ts";
import type { NodeRole } from "../kubernetes/node_role.ts";
import { hex } from "../platform/bytes.ts";
import { BootstrapError } from "../platform/errors.ts";
import { present } from "../platform/present.ts";
import type { JoinClientMessage, JoinProposal, JoinServerMessage } from "../proto/gen/bootstrapper.ts";
import { checkActivationAnswer } from "../protocol/activation.ts";
import { refusal } from "../protocol/refusal.ts";
import { checkTokenFounding } from "../protocol/token_founding.ts";
import { lockDigest, trustDigest } from "../protocol/transcript.ts";
import type { TrustPart } from "../protocol/transcript.ts";

/** The policy of a trust part's founding: whom a node takes for a control plane of its cluster. */
export interface FounderPolicy {
  /** Judges the evidence of control planes. */
  readonly verifier: EvidenceVerifier;
  /** The role that an identity may have. */
  readonly roleOf: (identity: string) => NodeRole;
}

/** Returns the policy of a founding, as nodes judge by it. */
export function founderPolicy(policy: Policy, verifier: EvidenceVerifier): FounderPolicy {
  return { verifier, roleOf: (identity) => roleOf(policy, identity) };
}

/** A founder's evidence that passed every check but the answer to its challenge. */
export interface FounderChallenge {
  /** Absent if the kind of evidence has none. */
  readonly challenge?: NonNullable<VerifiedEvidence["challenge"]>;
  /** A1, which evidence and answer cover. */
  readonly a1: Uint8Array;
}

/** Whether a trust part has a policy for founders. */
export function judgesFounders({ founding }: Pick<TrustPart, "founding">): boolean {
  return (founding?.policyDigest.length ?? 0) > 0;
}

/**
 * What the machine of a cluster's join service must show: exactly the node's own trust part, and the lock of exactly
 * that cluster.
 *
 * @param trust The node's own trust part.
 * @param clusterId The cluster ID of the proposal, 32 bytes.
 */
export async function founderExpectation(trust: TrustPart, clusterId: Uint8Array): Promise<Expectation> {
  return {
    trust: [await trustDigest(trust)],
    lock: [await lockDigest(clusterId)],
    identity: hex(clusterId),
  };
}

/**
 * Checks everything of a proposal that the node's own trust part asks for of a cluster that no operator founded. What
 * is asked for never depends on what the service sent.
 *
 * @param a1 A1 of the connection, which the service's key has signed.
 * @param trust The node's own trust part, which has a founding.
 * @param policy The policy of that founding, if the trust part has one.
 * @returns What is left to do on the connection.
 * @throws {BootstrapError} `refused/…` naming the check, `malformed/…`.
 */
export async function checkFounders(
  { tokenFounding, evidence }: Pick<JoinProposal, "tokenFounding" | "evidence">,
  { a1, clusterId }: { readonly a1: Uint8Array; readonly clusterId: Uint8Array },
  trust: TrustPart,
  policy: FounderPolicy | undefined,
): Promise<FounderChallenge> {
  const { founding } = trust;
  const hasToken = (founding?.tokenKey.length ?? 0) > 0;
  if (!hasToken && !judgesFounders(trust)) {
    throw new BootstrapError("internal/argument", "A founding needs a policy or a token key");
  }
  if (hasToken) await checkTokenFounding(tokenFounding ?? new Uint8Array(), trust, clusterId);
  if (!judgesFounders(trust)) return { a1 };
  if (policy === undefined) {
    throw new BootstrapError("internal/argument", "The policy of this node's trust.founding was not read");
  }
  if (evidence === undefined) {
    throw refusal(
      "evidence",
      "The join service shows no evidence of its machine, which trust.founding of this node asks for",
      `evidence of variant ${policy.verifier.variant}`,
      "no evidence",
      "Ask another control plane: this one may have joined without trust.founding",
    );
  }
  const expectation = await founderExpectation(trust, clusterId);
  const { claims, challenge } = await verifyEvidence(policy.verifier, evidence, a1, expectation);
  const role = policy.roleOf(claims.identity);
  // A machine that gets a new identity at each start can be in no list; the policy lets it in by what it is.
  if (role !== "control-plane" && claims.isEphemeral !== true) {
    throw refusal(
      "role",
      `The policy of trust.founding does not list the identity ${claims.identity} as a control plane`,
      "control-plane",
      role,
    );
  }
  return { a1, ...present("challenge", challenge) };
}

/**
 * Step 2a: the machine of the evidence is at the other end.
 *
 * @throws {BootstrapError} `refused/activation`; `timeout/peer`, or the reason why the exchange ended.
 */
export async function challengeFounder(
  exchange: Exchange<JoinServerMessage, JoinClientMessage>,
  { challenge, a1 }: FounderChallenge,
  deadlineMs: number,
): Promise<void> {
  if (challenge === undefined) return;
  const { credentialBlob, encryptedSecret } = challenge.message;
  await exchange.send({ message: { $case: "challenge", challenge: { credentialBlob, encryptedSecret } } });
  const { hmac } = await exchange.receive("activation", deadlineMs);
  await checkActivationAnswer(hmac, challenge.secret, a1);
}
