/**
 * Evidence of several kinds from one machine, such as its TPM and its processor. All pieces are over the same
 * statement, and a verifier requires all of them.
 *
 * @module
 */
import type { Bytes } from "../platform/bytes.ts";
import { concat, copyOf, equalBytes } from "../platform/bytes.ts";
import { BootstrapError } from "../platform/errors.ts";
import { present } from "../platform/present.ts";
import { EvidenceSet } from "../proto/gen/bootstrapper.ts";
import { createChecks } from "./checks.ts";
import { CollateralWanted } from "./collateral_wanted.ts";
import type {
  Evidence,
  EvidenceClaims,
  EvidenceIssuer,
  ExplainingVerifier,
  MeasurementRegisters,
  VerifiedEvidence,
} from "./evidence.ts";

/** The separator between the names of kinds. */
const JOINT = "+";

/** Returns the combined name of several kinds of evidence in their order, such as `tpm+snp`. */
export function combinedName(variants: readonly string[]): string {
  return variants.join(JOINT);
}

/**
 * Combines issuers into one that issues all kinds of a machine's evidence, in their order. The first kind determines
 * the machine's identity.
 *
 * @param issuers One or more issuers. At most one of them expects a challenge.
 */
export function combineIssuers(issuers: readonly EvidenceIssuer[]): EvidenceIssuer {
  const [first] = issuers;
  if (first !== undefined && issuers.length === 1) return first;
  const challenged = issuers.filter(({ isChallenged }) => isChallenged);
  const [only] = challenged;
  if (first === undefined || challenged.length > 1) {
    throw new BootstrapError(
      "internal/evidence",
      "Combined evidence needs at least one kind and at most one challenge",
    );
  }
  const variant = combinedName(issuers.map((issuer) => issuer.variant));
  return {
    variant,
    isChallenged: only !== undefined,
    ...present("identityIsKey", first.identityIsKey),
    ...present("identityIsOfBoot", first.identityIsOfBoot),
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

/** Combines the registers of all kinds of a machine, one or more. */
export function combineRegisters(parts: readonly MeasurementRegisters[]): MeasurementRegisters {
  const [first] = parts;
  if (first !== undefined && parts.length === 1) return first;
  return {
    parts,
    read: async (index) => concat(...await Promise.all(parts.map((part) => part.read(index)))),
    extend: () =>
      Promise.reject(
        new BootstrapError("internal/registers", "Registers of several kinds must be extended one by one"),
      ),
  };
}

/**
 * Combines verifiers into one that requires all of their kinds of evidence, each once and in their order.
 *
 * Its `verify` throws `refused/variant`, `refused/variants`, `malformed/evidence-set`, and the errors of the combined
 * verifiers.
 *
 * @param verifiers One or more verifiers, in the issuer's order. The first determines the machine's identity.
 */
export function combineVerifiers(verifiers: readonly ExplainingVerifier[]): ExplainingVerifier {
  const [first] = verifiers;
  if (first === undefined) throw new BootstrapError("internal/evidence", "There is no verifier of the evidence");
  if (verifiers.length === 1) return first;
  const variant = combinedName(verifiers.map((verifier) => verifier.variant));
  return {
    variant,
    ...present("identityIsKey", first.identityIsKey),
    ...present("identityCheck", verifiers.find(({ identityCheck }) => identityCheck !== undefined)?.identityCheck),
    async verify(evidence, statement, expectation, report): Promise<VerifiedEvidence> {
      const checks = createChecks(report);
      checks.expect("variant", evidence.variant, variant, "The evidence is of another variant");
      if (evidence.variant !== variant) checks.end();
      const parts = await checks.need("form", () => decodeEvidenceSet(evidence.payload));
      const seen = combinedName(parts.map((part) => part.variant));
      checks.expect("variants", seen, variant, "The evidence does not have all the required kinds");
      const verified: VerifiedEvidence[] = [];
      let refused: unknown;
      for (const [index, verifier] of verifiers.entries()) {
        const part = parts[index];
        if (part === undefined) break;
        try {
          verified.push(await verifier.verify(part, statement, expectation, report));
        } catch (error) {
          // A refusal is a verdict, whatever documents another kind still needs.
          if (refused === undefined || refused instanceof CollateralWanted) refused = error;
          // Without a listener the first refusal is the verdict; the other verifiers need not run.
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
  const remarks = claims.flatMap(({ remarks = [] }) => remarks);
  const counted = claims.find(({ resetCount }) => resetCount !== undefined);
  const combined: EvidenceClaims = {
    variant,
    identity: first.identity,
    identities: claims.map(({ identity }) => identity),
    fresh: claims.every(({ fresh }) => fresh),
    ...(tells.length === 0 ? { showsNoLock: true } : {}),
    ...(first.isEphemeral === true ? { isEphemeral: true } : {}),
    facts: Object.assign({}, ...claims.map(({ facts = {} }) => facts)),
    ...(remarks.length === 0 ? {} : { remarks }),
    ...(counted?.resetCount === undefined ? {} : { resetCount: counted.resetCount }),
    ...(counted?.restartCount === undefined ? {} : { restartCount: counted.restartCount }),
  };
  return { claims: combined, ...(challenge === undefined ? {} : { challenge }) };
}

/** Encodes several pieces of evidence as one payload. */
export function encodeEvidenceSet(evidence: readonly Evidence[]): Bytes {
  return copyOf(EvidenceSet.encode({ evidence: [...evidence] }).finish());
}

/**
 * Reads a payload of several pieces of evidence. A piece cannot itself be a set.
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
  // The protobuf reader skips unknown fields and stops at a zero, but evidence must have exactly one encoding.
  if (!equalBytes(encodeEvidenceSet(set.evidence), payload)) {
    throw new BootstrapError(
      "malformed/evidence-set",
      "The payload is not in the encoding of evidence of several kinds",
    );
  }
  return set.evidence;
}

/**
 * Returns the pieces of evidence from the wire: the evidence itself if it is of one kind, otherwise each piece of the
 * set.
 *
 * @throws {BootstrapError} `malformed/evidence-set`.
 */
export function piecesOf(evidence: Evidence): readonly Evidence[] {
  return evidence.variant.includes(JOINT) ? decodeEvidenceSet(evidence.payload) : [evidence];
}
