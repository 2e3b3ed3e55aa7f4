/**
 * Evidence of several kinds by one machine, such as of its TPM and of its processor: all of it over one statement, and none of it
 * enough alone.
 *
 * @module
 */
import type { Bytes } from "../platform/bytes.ts";
import { concat, copyOf, equalBytes } from "../platform/bytes.ts";
import { BootstrapError } from "../platform/errors.ts";
import { EvidenceSet } from "../proto/gen/bootstrapper.ts";
import { createChecks } from "./checks.ts";
import type {
  Evidence,
  EvidenceClaims,
  EvidenceIssuer,
  ExplainingVerifier,
  MeasurementRegisters,
  VerifiedEvidence,
} from "./evidence.ts";

/** What joins the names of kinds. */
const JOINT = "+";

/** The name of several kinds of evidence in their order, such as `tpm+snp`. */
export function combinedName(variants: readonly string[]): string {
  return variants.join(JOINT);
}

/**
 * An issuer of all kinds of a machine's evidence, in their order; the first gives the machine its identity.
 *
 * @param issuers One or more; at most one of them is challenged.
 */
export function combineIssuers(issuers: readonly EvidenceIssuer[]): EvidenceIssuer {
  const [first] = issuers;
  if (first !== undefined && issuers.length === 1) return first;
  const challenged = issuers.filter(({ isChallenged }) => isChallenged);
  const [only] = challenged;
  if (first === undefined || challenged.length > 1) {
    throw new BootstrapError(
      "internal/evidence",
      "Evidence is combined of one kind or more, of which one is challenged",
    );
  }
  const variant = combinedName(issuers.map((issuer) => issuer.variant));
  return {
    variant,
    isChallenged: only !== undefined,
    async issue(statement) {
      const evidence: Evidence[] = [];
      for (const issuer of issuers) evidence.push(await issuer.issue(statement));
      return { variant, payload: encodeEvidenceSet(evidence) };
    },
    activate: (challenge) =>
      only?.activate(challenge) ??
        Promise.reject(new BootstrapError("protocol/challenge", `Evidence of ${variant} has no challenge`)),
    ownIdentity: (bound) => first.ownIdentity(bound),
  };
}

/** The registers of all kinds of a machine, one or more. */
export function combineRegisters(parts: readonly MeasurementRegisters[]): MeasurementRegisters {
  const [first] = parts;
  if (first !== undefined && parts.length === 1) return first;
  return {
    parts,
    read: async (index) => concat(...await Promise.all(parts.map((part) => part.read(index)))),
    extend: () =>
      Promise.reject(new BootstrapError("internal/registers", "Registers of several kinds are measured one by one")),
  };
}

/**
 * A verifier that wants all of several kinds of evidence, each once and in their order.
 *
 * Its `verify` throws `refused/variant`, `malformed/evidence-set`, and what the verifiers of the kinds do.
 *
 * @param verifiers One or more, in the order that the issuer has; the first finds the machine's identity.
 */
export function combineVerifiers(verifiers: readonly ExplainingVerifier[]): ExplainingVerifier {
  const [first] = verifiers;
  if (first === undefined) throw new BootstrapError("internal/evidence", "Nothing is verified by no verifier");
  if (verifiers.length === 1) return first;
  const variant = combinedName(verifiers.map((verifier) => verifier.variant));
  return {
    variant,
    async verify(evidence, statement, expectation, report): Promise<VerifiedEvidence> {
      const checks = createChecks(report);
      checks.expect("variant", evidence.variant, variant, "The evidence is of another variant");
      const parts = await checks.need("form", () => decodeEvidenceSet(evidence.payload));
      const seen = combinedName(parts.map((part) => part.variant));
      checks.expect("variants", seen, variant, "The evidence is not of all the kinds that are wanted");
      const verified: VerifiedEvidence[] = [];
      let refused: unknown;
      for (const [index, verifier] of verifiers.entries()) {
        const part = parts[index];
        if (part === undefined) break;
        try {
          verified.push(await verifier.verify(part, statement, expectation, report));
        } catch (error) {
          refused ??= error;
          // Without somebody who wants to hear of the others the first refusal is the verdict.
          if (report === undefined) break;
        }
      }
      checks.end();
      if (refused !== undefined) throw refused;
      return combineVerdicts(variant, verified);
    },
  };
}

function combineVerdicts(variant: string, verified: readonly VerifiedEvidence[]): VerifiedEvidence {
  const claims = verified.map((one) => one.claims);
  const [first] = claims;
  if (first === undefined) throw new BootstrapError("internal/evidence", "Nothing was verified");
  const challenge = verified.find((one) => one.challenge !== undefined)?.challenge;
  const tells = claims.filter(({ showsNoLock }) => showsNoLock !== true);
  const counted = claims.find(({ resetCount }) => resetCount !== undefined);
  const combined: EvidenceClaims = {
    variant,
    identity: first.identity,
    identities: claims.map(({ identity }) => identity),
    fresh: claims.every(({ fresh }) => fresh),
    ...(tells.length === 0 ? { showsNoLock: true } : {}),
    ...(first.isEphemeral === true ? { isEphemeral: true } : {}),
    facts: Object.assign({}, ...claims.map(({ facts = {} }) => facts)),
    ...(counted?.resetCount === undefined ? {} : { resetCount: counted.resetCount }),
    ...(counted?.restartCount === undefined ? {} : { restartCount: counted.restartCount }),
  };
  return { claims: combined, ...(challenge === undefined ? {} : { challenge }) };
}

/** Several pieces of evidence as one payload. */
export function encodeEvidenceSet(evidence: readonly Evidence[]): Bytes {
  return copyOf(EvidenceSet.encode({ evidence: [...evidence] }).finish());
}

/**
 * Reads a payload of several pieces of evidence. A piece is never again a set.
 *
 * @throws {BootstrapError} `malformed/evidence-set`.
 */
export function decodeEvidenceSet(payload: Uint8Array): readonly Evidence[] {
  let set: EvidenceSet;
  try {
    set = EvidenceSet.decode(payload);
  } catch (cause) {
    throw new BootstrapError("malformed/evidence-set", "Cannot read the payload as evidence of several kinds", {
      cause,
    });
  }
  if (set.evidence.length < 2 || set.evidence.some(({ variant }) => !/^[a-z]{2,16}$/.test(variant))) {
    const message = "Evidence of several kinds has two pieces or more, each of one kind";
    throw new BootstrapError("malformed/evidence-set", message);
  }
  // The reader of protobuf skips unknown fields, and stops at a zero: evidence has one form only.
  if (!equalBytes(encodeEvidenceSet(set.evidence), payload)) {
    throw new BootstrapError("malformed/evidence-set", "The payload is not encoded as evidence of several kinds is");
  }
  return set.evidence;
}

/**
 * The pieces of evidence as it crosses the wire: of one kind itself, of several each.
 *
 * @throws {BootstrapError} `malformed/evidence-set`.
 */
export function piecesOf(evidence: Evidence): readonly Evidence[] {
  return evidence.variant.includes(JOINT) ? decodeEvidenceSet(evidence.payload) : [evidence];
}
