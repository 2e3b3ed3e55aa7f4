/**
 * Step 3 of the Join exchange from the service's side: the request and its evidence.
 *
 * @module
 */
import type { EvidenceCheck, Expectation, VerifiedEvidence } from "../attestation/evidence.ts";
import { FRESH, NO_IDENTITY } from "../attestation/evidence.ts";
import { verifyEvidence } from "../attestation/verify_evidence.ts";
import { checkNodeCsr, readCsr } from "../certificate/csr.ts";
import type { Bytes } from "../platform/bytes.ts";
import { equalBytes, hex } from "../platform/bytes.ts";
import { BootstrapError, hasCode } from "../platform/errors.ts";
import { present } from "../platform/present.ts";
import type { Evidence, SignedJoinRequest } from "../proto/gen/bootstrapper.ts";
import type { NodeRequest } from "../protocol/join_request.ts";
import { readRequest } from "../protocol/join_request.ts";
import { checkLength } from "../protocol/lengths.ts";
import { identityOfKey, SEALING_KEY_BYTES } from "../protocol/node_keys.ts";
import { refusal } from "../protocol/refusal.ts";
import { SIGNATURE_BYTES, verify } from "../protocol/signature.ts";
import { joinA2, lockDigest } from "../protocol/transcript.ts";
import type { JoinExchangeService, JoinSession, KnownNode } from "./exchange_parts.ts";
import { nodeTrustExpectation } from "./founder_evidence.ts";

/** What a node asked for, with everything that its key is bound to. */
export interface SignedRequest {
  readonly request: NodeRequest;
  /** SPKI_c. */
  readonly nodeKey: Uint8Array;
  /** E_c. */
  readonly sealingKey: Uint8Array;
  readonly evidence: Evidence;
  /** By the identity key of the request; empty if it has none. */
  readonly identitySignature: Uint8Array;
  /** By the founding token, if the node has it. */
  readonly tokenSignature?: Uint8Array;
  readonly a2: Bytes;
}

/** A node whose evidence was verified. */
export interface CheckedNode extends SignedRequest, VerifiedEvidence {
  /** SPKI_s. */
  readonly servingKey: Uint8Array;
  /** Whether the cluster asks control planes for its founding token, and this one has shown it. */
  readonly hasToken: boolean;
}

/** Step 3, the message: the holder of K_c sent it, on this connection. */
export async function readSignedRequest(message: SignedJoinRequest, a1: Bytes): Promise<SignedRequest> {
  const { nodeKey, request, evidence } = message;
  const sealingKey = checkLength(message.sealingKey, SEALING_KEY_BYTES, "sealing_key");
  const signature = checkLength(message.signature, SIGNATURE_BYTES, "signature");
  if (evidence === undefined) {
    throw new BootstrapError("malformed/join-message", 'Cannot read the message as "evidence" is missing', {
      details: { field: "evidence" },
    });
  }
  const a2 = await joinA2(a1, { nodeKey, sealingKey, request });
  await verify(nodeKey, "request", a2, signature);
  const { identitySignature, tokenSignature } = message;
  return {
    ...{ request: readRequest(request), nodeKey, sealingKey, evidence, identitySignature, a2 },
    ...present("tokenSignature", tokenSignature),
  };
}

/**
 * Step 3, the request: both CSRs have exactly the node's subject, one of them for exactly the key that is bound to the
 * evidence. Returns SPKI_s: the key of the other, which the request binds.
 */
export async function checkCsrs({ request, nodeKey }: SignedRequest): Promise<Uint8Array> {
  const { nodeName } = request;
  // K_c has signed A2, which names this request.
  checkNodeCsr(await readCsr(request.clientCsr, nodeKey), nodeName, nodeKey);
  const serving = await readCsr(request.servingCsr);
  checkNodeCsr(serving, nodeName, serving.spki);
  if (!equalBytes(serving.spki, nodeKey)) return serving.spki;
  throw refusal(
    "csr-serving-key",
    "A node asks for both of its certificates with one key",
    "another key than that of the client certificate",
    hex(serving.spki),
  );
}

/**
 * Step 3, the machine's key: present exactly where the kind of evidence says that the identity is a key. Its holder
 * signed this request.
 */
export async function checkIdentityKey({ verifier }: JoinExchangeService, signed: SignedRequest): Promise<void> {
  const { request: { identityKey }, evidence, identitySignature, a2 } = signed;
  // The verifier refuses evidence of another variant, and says so.
  if (evidence.variant !== verifier.variant) return;
  const isExpected = verifier.identityIsKey === true;
  if (isExpected !== identityKey.length > 0 || isExpected !== identitySignature.length > 0) {
    const which = isExpected ? "must have an identity key and its signature" : "must have no identity key";
    throw new BootstrapError(
      "malformed/join-request",
      `Cannot read the join request as a machine with evidence of variant ${verifier.variant} ${which}`,
      { details: { field: "identity_key" } },
    );
  }
  if (isExpected) {
    await verify(identityKey, "identity", a2, checkLength(identitySignature, SIGNATURE_BYTES, "identity_signature"));
  }
}

/**
 * Step 3, the founding token, of a machine that is to be a control plane: where the service's own trust part has a token
 * key, it must have the token. Returns whether the token was asked for and shown.
 *
 * @throws {BootstrapError} `refused/token-join`, `malformed/join-message`.
 */
export async function checkToken(
  { trust }: Pick<JoinExchangeService, "trust">,
  { tokenSignature = new Uint8Array(), a2 }: SignedRequest,
): Promise<boolean> {
  const tokenKey = trust.founding?.tokenKey ?? new Uint8Array();
  if (tokenKey.length === 0) return false;
  const expected = "a signature by the founding token over this request";
  if (tokenSignature.length === 0) {
    throw refusal(
      "token-join",
      "A control plane of this cluster must show the founding token",
      expected,
      "no signature",
    );
  }
  try {
    await verify(tokenKey, "token-join", a2, checkLength(tokenSignature, SIGNATURE_BYTES, "token_signature"));
  } catch (error) {
    if (!hasCode(error, "refused/signature")) throw error;
    throw refusal("token-join", "The founding token is another one than the cluster's", expected, "another signature");
  }
  return true;
}

/**
 * Step 3, the machine: its evidence. Refusals give the reason, with the policy's values, only to a machine that is known:
 * its own people must understand them, and a stranger must not learn what a policy wants.
 */
export async function checkEvidence(
  { explainRefusals }: Pick<JoinSession, "explainRefusals">,
  service: JoinExchangeService,
  signed: SignedRequest,
  known: KnownNode,
): Promise<SignedRequest & VerifiedEvidence> {
  const { verifier } = service;
  const expectation = await expectationOf(service, signed.request);
  const ended: EvidenceCheck[] = [];
  const report = (check: EvidenceCheck) => void ended.push(check);
  let verified: VerifiedEvidence;
  try {
    verified = await verifyEvidence(verifier, signed.evidence, signed.a2, expectation, report);
  } catch (error) {
    if (await isFromKnownMachine(service, ended, expectation)) explainRefusals();
    throw error;
  }
  if (verified.challenge === undefined || await isFromKnownMachine(service, ended, expectation)) explainRefusals();
  const { identity } = verified.claims;
  known.identity = identity;
  if (verifier.identityIsKey === true && identity !== expectation.identity) {
    throw refusal(
      "identity-key",
      "The evidence is of another machine than the identity key",
      expectation.identity,
      identity,
    );
  }
  return { ...signed, ...verified };
}

/**
 * Whether evidence is of a machine that may hear why it is refused: its vendor signed it for this exchange, or its
 * identity is one that the policy names or that has an admission record. One that the policy bans may not. Where the
 * identity is a key, that key has signed the request. That the owner of an endorsement key is at the other end is not
 * shown yet.
 */
async function isFromKnownMachine(
  { verifier: { identityCheck, identityIsKey, vendorChecks = [] }, standingOf, admissions }: JoinExchangeService,
  ended: readonly EvidenceCheck[],
  expectation: Expectation,
): Promise<boolean> {
  const hasPassed = (name: string) => ended.some(({ check, passed }) => check === name && passed);
  const identity = identityIsKey === true
    ? expectation.identity
    : ended.find(({ check, passed }) => check === identityCheck && passed)?.seen;
  const standing = identity === undefined ? undefined : standingOf(identity);
  if (standing === "banned") return false;
  if (vendorChecks.length > 0 && vendorChecks.every(hasPassed)) return true;
  if (identity === undefined) return false;
  return standing === "named" || await admissions.find(identity).catch(() => undefined) !== undefined;
}

/**
 * What a node of this cluster may show. Whether a node that joins may show that it has locked is checked afterwards. A
 * node that renews must show it, where its kind of evidence has a register for the lock.
 */
async function expectationOf(
  { trust, acceptedTrust, identity: { clusterId } }: JoinExchangeService,
  { purpose, identityKey }: NodeRequest,
): Promise<Expectation> {
  const locked = await lockDigest(clusterId);
  return {
    ...await nodeTrustExpectation(acceptedTrust, trust, clusterId),
    lock: purpose === "renew" ? [locked] : [FRESH, locked],
    identity: identityKey.length === 0 ? NO_IDENTITY : await identityOfKey(identityKey),
  };
}
