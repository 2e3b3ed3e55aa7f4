/**
 * What a founder shows of itself: its hello, its statement, and the answer to a challenge.
 *
 * @module
 */
import type { EvidenceIssuer } from "../attestation/evidence.ts";
import type { Bytes } from "../platform/bytes.ts";
import { copyOf } from "../platform/bytes.ts";
import { BootstrapError } from "../platform/errors.ts";
import type { ActivationChallenge, FounderStatement, FoundHello } from "../proto/gen/bootstrapper.ts";
import { activationAnswer } from "../protocol/activation.ts";
import { sign } from "../protocol/signature.ts";
import type { Founder } from "./founder.ts";
import { shownTrust } from "./trust_comparison.ts";

const NOTHING: Bytes = new Uint8Array();

/**
 * Makes the hello of step 1 or step 2.
 *
 * @param statement What the token signs, for its tag.
 */
export async function makeHello(
  own: Founder,
  nonce: Bytes,
  tag: "found-c" | "found-s",
  statement: () => Promise<Bytes>,
): Promise<FoundHello> {
  const tokenSignature = own.token === undefined ? NOTHING : await sign(own.token, tag, await statement());
  return { nonce, trust: shownTrust(own.trust), tokenSignature, instance: copyOf(own.instance) };
}

/** Makes the statement of step 3 or step 5 over B, with evidence for one peer. */
export async function makeStatement(
  own: Founder,
  card: Bytes,
  b: Bytes,
  evidenceFor: string,
): Promise<FounderStatement> {
  const { key, token, attestation } = own;
  attestation?.rate.take(evidenceFor);
  const evidence = await attestation?.issuer.issue(b);
  return {
    certificate: copyOf(key.certificate),
    card,
    evidence: evidence === undefined ? undefined : { variant: evidence.variant, payload: copyOf(evidence.payload) },
    signature: await sign(key.keys, "founder", b),
    tokenSignature: token === undefined ? NOTHING : await sign(token, "founder", b),
  };
}

/** Opens a peer's challenge with the own TPM, and answers it for B. */
export async function answerChallenge(
  issuer: Pick<EvidenceIssuer, "activate">,
  challenge: ActivationChallenge,
  b: Bytes,
): Promise<Bytes> {
  const secret = await issuer.activate(challenge);
  try {
    return await activationAnswer(secret, b);
  } finally {
    secret.fill(0);
  }
}

/**
 * Checks that the machine can do what its trust part asks of founders.
 *
 * @throws {BootstrapError} `internal/argument`.
 */
export function checkFounder({ trust: { founding }, token, attestation }: Founder): void {
  const isRight = (founding.tokenKey.length > 0) === (token !== undefined) &&
    (founding.policyDigest.length > 0) === (attestation !== undefined) &&
    (token !== undefined || attestation !== undefined);
  if (isRight) return;
  const message = "A founder needs the token exactly with a token key, and evidence exactly with a policy";
  throw new BootstrapError("internal/argument", message);
}
