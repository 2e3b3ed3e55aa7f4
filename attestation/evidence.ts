/**
 * What the attested channel knows of evidence: that it is issued over a digest, and verified against one.
 *
 * @module
 */
import type { Bytes } from "../platform/bytes.ts";

/** Evidence as it crosses the wire: its variant, and bytes that only that variant's verifier reads. */
export interface Evidence {
  /** The kind, as the peer names it, or several joined by `+`; a verifier refuses all but what it is configured with. */
  readonly variant: string;
  /** The variant's own encoding. */
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
  /** The kind that it makes, or several joined by `+`. */
  readonly variant: string;
  /** Whether a verifier answers its evidence with a challenge, and believes it only afterwards. */
  readonly isChallenged: boolean;
  /** Evidence over `statement` (A1 or A2, 32 bytes), never over bytes that a peer chose. */
  issue(statement: Uint8Array): Promise<Evidence>;
  /** Opens a challenge: the secret inside. Variants without challenges refuse. */
  activate(challenge: ActivationChallenge): Promise<Bytes>;
  /**
   * The identity that a verifier finds in its evidence, lower-case hexadecimal.
   *
   * @param bound What stands for the machine where its evidence does not say who it is (TDX): see {@linkcode Expectation}.
   */
  ownIdentity(bound: string): Promise<string>;
}

/** In place of D15: the machine is not locked. */
export const FRESH = "fresh" as const;

/**
 * What a machine must show on a connection, said once for all kinds of evidence. Each kind derives from it what its own registers,
 * or the values that the machine was launched with, must hold.
 */
export interface Expectation {
  /** The acceptable values of D12, the digest of the configuration's trust part; 32 bytes each. */
  readonly trust: readonly Uint8Array[];
  /** The acceptable locks: D15, 32 bytes, for a machine that is locked, and {@linkcode FRESH} for one that is not. */
  readonly lock: readonly (Uint8Array | typeof FRESH)[];
  /** Who the machine is, where its evidence does not say so itself (TDX): SHA-256 of SPKI_c, which the statement binds. Lower-case hexadecimal. */
  readonly identity: string;
}

/** The identity of a machine that is bound to nothing, as the evidence is in a file. */
export const NO_IDENTITY: string = "00".repeat(32);

/** In place of an expectation, for explanations alone: what the evidence shows of trust part and lock is taken as it is. */
export const AS_SHOWN = "as shown" as const;

/** What verified evidence says of its machine. */
export interface EvidenceClaims {
  /** The kind, or several joined by `+`. */
  readonly variant: string;
  /** The machine's identity, lower-case hexadecimal: for a TPM SHA-256 of the SPKI of its EK, for SNP REPORT_ID. */
  readonly identity: string;
  /** Whether PCR 15 is zero, or {@linkcode showsNoLock}. */
  readonly fresh: boolean;
  /** That the machine has no register for the lock, so that its evidence cannot tell whether it is fresh (SEV-SNP). */
  readonly showsNoLock?: true;
  /** The identities of all its kinds of evidence, where it has several; the first is {@linkcode identity}. */
  readonly identities?: readonly string[];
  /** That the identity is made anew each time the machine starts, so that nobody can know it beforehand. */
  readonly isEphemeral?: true;
  /** What else the evidence proves, for people and for policies: chip ID, TCB, measurement. */
  readonly facts?: Readonly<Record<string, string>>;
  /** The TPM's reset counter, which must never decrease for one identity. */
  readonly resetCount?: number;
  /** The TPM's restart counter within one reset. */
  readonly restartCount?: number;
}

/** Evidence that passed every check that needs no further message. */
export interface VerifiedEvidence {
  /** What it says. Not to be acted on before {@linkcode challenge}, where there is one, is answered. */
  readonly claims: EvidenceClaims;
  /** A challenge for the machine, with the secret that its TPM must find. */
  readonly challenge?: { readonly message: ActivationChallenge; readonly secret: Bytes };
}

/** One check of evidence, and how it ended. */
export interface EvidenceCheck {
  /** Its name, as in `refused/pcr-4`. */
  readonly check: string;
  /** Whether the evidence satisfies it. */
  readonly passed: boolean;
  /** What would satisfy it. */
  readonly expected: string;
  /** What the evidence shows. */
  readonly seen: string;
  /** What it means that it does not satisfy it; empty if it does. */
  readonly message: string;
}

/** Verifies a peer's evidence by a policy. */
export interface EvidenceVerifier {
  /** The one kind that it accepts, or several joined by `+`, of which it wants all. */
  readonly variant: string;
  /**
   * Checks everything that needs no further message.
   *
   * @param evidence What the peer sent.
   * @param statement A1 or A2 of this connection, 32 bytes; compared in full length.
   * @param expectation What the machine must show.
   * @param report Hears every check. With it a verifier goes on after a refusal, as far as that makes sense, and throws the
   *   first one at its end; without it, at once. The verdict is the same.
   * @throws {BootstrapError} `refused/…` naming the check, with `check`, `expected` and `seen` in its details;
   *   `malformed/…` for bytes that are no evidence; `internal/expectation` for an expectation that would let anything pass.
   */
  verify(
    evidence: Evidence,
    statement: Uint8Array,
    expectation: Expectation,
    report?: (check: EvidenceCheck) => void,
  ): Promise<VerifiedEvidence>;
}

/** A verifier that also explains evidence of which nothing is expected. A service has no use for it. */
export interface ExplainingVerifier extends EvidenceVerifier {
  /** {@linkcode EvidenceVerifier.verify}; {@linkcode AS_SHOWN} leaves trust part and lock unjudged. */
  verify(
    evidence: Evidence,
    statement: Uint8Array,
    expectation: Expectation | typeof AS_SHOWN,
    report?: (check: EvidenceCheck) => void,
  ): Promise<VerifiedEvidence>;
}

/** The registers of this machine that the bootstrapper itself writes and reads, by the numbers of the PCRs that they stand for. */
export interface MeasurementRegisters {
  /** The value of a register; a PCR's is SHA-256, 32 bytes. */
  read(index: number): Promise<Bytes>;
  /** Extends a register by a SHA-256 digest. */
  extend(index: number, digest: Uint8Array): Promise<void>;
  /** What a register that was zero holds after an extension; by default what a PCR does, `SHA-256(0³² ‖ digest)`. */
  extended?(index: number, digest: Uint8Array): Promise<Bytes>;
  /** The registers of each kind, where a machine has several kinds; each of them is measured into. */
  readonly parts?: readonly MeasurementRegisters[];
}

/** What makes a machine's evidence, and what it measures into: one kind, or several combined. */
export interface MachineEvidence {
  readonly issuer: EvidenceIssuer;
  /** None where nothing is measured. */
  readonly registers?: MeasurementRegisters;
}

/** The register that holds the trust part of the configuration. */
export const TRUST_REGISTER = 12;
/** The register that holds the lock. */
export const LOCK_REGISTER = 15;
