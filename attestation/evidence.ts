/**
 * The interfaces of evidence: issuers make it over a statement, and verifiers check it against one.
 *
 * @module
 */
import type { Bytes } from "../platform/bytes.ts";

/** Evidence on the wire: the variant, and a payload that only that variant's verifier reads. */
export interface Evidence {
  /** The kind that the peer names, or several joined by `+`. A verifier refuses any other variant than its own. */
  readonly variant: string;
  /** The evidence in the variant's own encoding. */
  readonly payload: Uint8Array;
}

/** A challenge that only the TPM of the evidence can answer (TPM 2.0 Part 1, credential protection). */
export interface ActivationChallenge {
  /** TPM2B_ID_OBJECT. */
  readonly credentialBlob: Uint8Array;
  /** TPM2B_ENCRYPTED_SECRET. */
  readonly encryptedSecret: Uint8Array;
}

/** Makes this machine's evidence. */
export interface EvidenceIssuer {
  /** The kind of the issued evidence, or several joined by `+`. */
  readonly variant: string;
  /** Whether a verifier sends a challenge for this evidence, and accepts it only after the answer. */
  readonly isChallenged: boolean;
  /**
   * Whether the machine's identity is a key of its own, which signs a join request: the evidence itself does not name
   * the machine.
   */
  readonly identityIsKey?: true;
  /** Whether the machine gets another identity at each start, which so tells nothing about it later. */
  readonly identityIsOfBoot?: true;
  /** Issues evidence over `statement` (A1 or A2, 32 bytes). The statement must never be bytes that a peer chose. */
  issue(statement: Uint8Array): Promise<Evidence>;
  /** Opens a challenge and returns its secret. Variants without challenges refuse. */
  activate(challenge: ActivationChallenge): Promise<Bytes>;
  /**
   * Returns the identity that a verifier finds in this evidence, lower-case hexadecimal.
   *
   * @param bound The identity to use where the evidence contains none (TDX); see {@linkcode Expectation}.
   */
  ownIdentity(bound: string): Promise<string>;
}

/** Replaces D15 in an expectation: the machine is not locked. */
export const FRESH = "fresh" as const;

/**
 * The values that a machine must show on a connection, in a form common to all kinds of evidence. Each kind derives the
 * required contents of its own registers or launch values from them.
 */
export interface Expectation {
  /** The acceptable values of D12, the digest of the configuration's trust part; 32 bytes each. */
  readonly trust: readonly Uint8Array[];
  /** The acceptable locks: D15, 32 bytes, for a locked machine, and {@linkcode FRESH} for an unlocked one. */
  readonly lock: readonly (Uint8Array | typeof FRESH)[];
  /**
   * The machine's identity where the evidence contains none (TDX): in a Join SHA-256 of the identity key's SPKI, which
   * the statement binds; in an Init the cluster ID. Lower-case hexadecimal.
   */
  readonly identity: string;
  /**
   * Returns the trust parts that a verifier recognises but does not accept, to name in a refusal what is configured
   * otherwise. The verdict does not depend on it.
   */
  otherTrust?(): Promise<readonly KnownTrust[]>;
}

/** A trust part that is recognised, and is not accepted. */
export interface KnownTrust {
  /** What registers and launch values show of it, hexadecimal: one value for each kind of evidence that shows one. */
  readonly values: readonly string[];
  /** The node's settings, as a phrase. */
  readonly meaning: string;
  /** The accepted settings, as a phrase. */
  readonly expected: string;
}

/** The identity to expect of evidence that names its machine, and of evidence in a file, which no connection binds. */
export const NO_IDENTITY: string = "00".repeat(32);

/** Replaces an expectation in explanations only: the verifier does not judge the trust part and the lock. */
export const AS_SHOWN = "as shown" as const;

/** The facts that verified evidence proves about its machine. */
export interface EvidenceClaims {
  /** The kind of evidence, or several joined by `+`. */
  readonly variant: string;
  /** The machine's identity, lower-case hexadecimal: for a TPM SHA-256 of the SPKI of its EK, for SNP REPORT_ID. */
  readonly identity: string;
  /** Whether PCR 15 is zero, or {@linkcode showsNoLock}. */
  readonly fresh: boolean;
  /** The machine has no register for the lock, so its evidence cannot show whether it is fresh (SEV-SNP). */
  readonly showsNoLock?: true;
  /** The identities from all kinds of evidence, if there are several. The first is {@linkcode identity}. */
  readonly identities?: readonly string[];
  /** The machine gets a new identity at each start, so the identity cannot be known in advance. */
  readonly isEphemeral?: true;
  /** Further proven facts, for people and for policies: PCRs, chip ID, TCB, measurement. */
  readonly facts?: Readonly<Record<string, string>>;
  /** What was seen and did not affect the verdict, as sentences without a full stop. */
  readonly remarks?: readonly string[];
  /** The TPM's reset counter, which must never decrease for one identity. */
  readonly resetCount?: number;
  /** The TPM's restart counter within one reset. */
  readonly restartCount?: number;
}

/** Evidence that passed every check that needs no further message. */
export interface VerifiedEvidence {
  /** The claims. If there is a {@linkcode challenge}, they must not be used before it is answered. */
  readonly claims: EvidenceClaims;
  /** A challenge for the machine, and the secret that its TPM must return. */
  readonly challenge?: { readonly message: ActivationChallenge; readonly secret: Bytes };
}

/** One check of evidence, and its result. */
export interface EvidenceCheck {
  /** The check's name, such as `pcr-4` in `refused/pcr-4`. */
  readonly check: string;
  readonly passed: boolean;
  /** The value that would satisfy the check. */
  readonly expected: string;
  /** The value in the evidence. */
  readonly seen: string;
  /** The meaning of the failure; empty if the check passed. */
  readonly message: string;
}

/** Verifies a peer's evidence by a policy. */
export interface EvidenceVerifier {
  /** The one kind that is accepted, or several joined by `+`, which are all required. */
  readonly variant: string;
  /** As {@linkcode EvidenceIssuer.identityIsKey}, by the first kind. */
  readonly identityIsKey?: true;
  /**
   * The checks that, when all have passed, show that the machine's vendor signed the evidence: also what a policy then
   * refuses was said by such a machine. Missing where only a further message shows that (a TPM's activation).
   */
  readonly vendorChecks?: readonly string[];
  /** The check that, when it has passed, names the machine's identity as what was seen. */
  readonly identityCheck?: string;
  /**
   * Runs every check that needs no further message.
   *
   * @param evidence What the peer sent.
   * @param statement A1 or A2 of this connection, 32 bytes. It is compared in full length.
   * @param expectation What the machine must show.
   * @param report Receives every check. With it, a verifier continues after a refusal as far as possible, and throws
   *   the first refusal at the end. Without it, the first refusal is thrown at once. The verdict is the same.
   * @throws {BootstrapError} `refused/…` naming the check, with `check`, `expected` and `seen` in its details;
   *   `malformed/…` for bytes that are no evidence; `internal/expectation` for an expectation that would let anything
   *   pass.
   */
  verify(
    evidence: Evidence,
    statement: Uint8Array,
    expectation: Expectation,
    report?: (check: EvidenceCheck) => void,
  ): Promise<VerifiedEvidence>;
}

/** A verifier that can also explain evidence without an expectation. Services do not use it. */
export interface ExplainingVerifier extends EvidenceVerifier {
  /**
   * Like {@linkcode EvidenceVerifier.verify}. With {@linkcode AS_SHOWN}, the trust part and the lock are not judged.
   */
  verify(
    evidence: Evidence,
    statement: Uint8Array,
    expectation: Expectation | typeof AS_SHOWN,
    report?: (check: EvidenceCheck) => void,
  ): Promise<VerifiedEvidence>;
}

/** The registers of this machine that the bootstrapper extends and reads, by the numbers of the corresponding PCRs. */
export interface MeasurementRegisters {
  /** Reads a register. The value of a PCR is SHA-256, 32 bytes. */
  read(index: number): Promise<Bytes>;
  /** Extends a register by a SHA-256 digest. */
  extend(index: number, digest: Uint8Array): Promise<void>;
  /** Returns the value of a zero register after one extension. Default: that of a PCR, `SHA-256(0³² ‖ digest)`. */
  extended?(index: number, digest: Uint8Array): Promise<Bytes>;
  /** The registers of each kind, if a machine has several kinds. Measurements go into each of them. */
  readonly parts?: readonly MeasurementRegisters[];
}

/** The issuer and the registers of a machine, for one kind of evidence or several combined. */
export interface MachineEvidence {
  readonly issuer: EvidenceIssuer;
  /** Absent if nothing is measured. */
  readonly registers?: MeasurementRegisters;
}

/** The register that holds the trust part of the configuration. */
export const TRUST_REGISTER = 12;
/** The register that holds the lock. */
export const LOCK_REGISTER = 15;
