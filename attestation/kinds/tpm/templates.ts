/**
 * The templates of the keys that evidence needs.
 *
 * @module
 */
import type { Bytes } from "../../../platform/bytes.ts";
import { concat, fromHex } from "../../../platform/bytes.ts";
import { ALGORITHM } from "./constants.ts";

/**
 * The attestation key, up to the key itself: ECC, name SHA-256, fixedTPM | fixedParent | sensitiveDataOrigin | userWithAuth | noDA |
 * restricted | sign, no policy, no symmetric algorithm, ECDSA with SHA-256, P-256, no KDF.
 *
 * Without noDA, a TPM counts each power cut after a quote as a wrong password, because the cut may hide one (TPM 2.0
 * Part 1, 19.8.3). After a few, it locks the key; some TPMs do so after three. The key has no password to guess.
 */
export const ATTESTATION_KEY_TEMPLATE: Bytes = fromHex("0023000b0005047200000010" + "0018000b00030010", "template");

/** The template for CreatePrimary: {@linkcode ATTESTATION_KEY_TEMPLATE} with an empty point. */
export const ATTESTATION_KEY_PUBLIC: Bytes = concat(ATTESTATION_KEY_TEMPLATE, new Uint8Array(4));

/**
 * The types of endorsement keys. A policy names exactly one, because a TPM may have several keys, each a separate
 * identity.
 */
export const EK_TYPES = ["rsa2048", "ecc-p256", "ecc-p384"] as const;

/** A type of endorsement key. */
export type EkType = typeof EK_TYPES[number];

/** The profile of one type of endorsement key. */
export interface EkProfile {
  /** TPMT_PUBLIC up to the key itself. */
  readonly template: Bytes;
  /** TPMT_PUBLIC for CreatePrimary. */
  readonly publicArea: Bytes;
  /** The handle where firmware may store the key. For P-256 there is no common handle. */
  readonly persistentHandle?: number;
  /** The NV index where the manufacturer may store the key's certificate. */
  readonly certificateIndex: number;
  /** How the key is authorised: by PolicySecret of the endorsement hierarchy, or by its empty password. */
  readonly authorisation: "policy" | "password";
  /** TPM_ALG_ID of the hash in the key's name. */
  readonly nameAlgorithm: number;
  /** The hash of the key's key derivations and HMACs. */
  readonly hash: "SHA-256" | "SHA-384";
  /** The length of the AES key that protects data sent to this key, in bytes. */
  readonly aesKeyBytes: 16 | 32;
}

/** PolicyA, which is PolicySecret(TPM_RH_ENDORSEMENT), with SHA-256. */
const POLICY_A = "0020837197674484b3f81a90cc8d46a5d724fd52d76e06520b64f2a1da1b331469aa";
/** PolicyB with SHA-384. It offers a choice that is not needed here, because the empty password authorises the key. */
const POLICY_B = "0030b26e7d28d11a50bc53d882bcf5fd3a1a074148bb35d3b4e4cb1c0ad9bde419cacb47ba09699646150f9fc000f3f80e12";

/** RSA 2048, name SHA-256, fixedTPM | fixedParent | sensitiveDataOrigin | adminWithPolicy | restricted | decrypt, AES-128-CFB. */
const L1 = fromHex(`0001000b000300b2${POLICY_A}0006008000430010` + "080000000000", "template");
/** P-256, otherwise like L-1. */
const L2 = fromHex(`0023000b000300b2${POLICY_A}0006008000430010` + "00030010", "template");
/** P-384, name SHA-384, attributes of L-1 plus userWithAuth, AES-256-CFB. */
const H3 = fromHex(`0023000c000300f2${POLICY_B}0006010000430010` + "00040010", "template");

/**
 * The standard templates of the TCG's EK Credential Profile for TPM 2.0 (2.3 revision 2, annex B): L-1, L-2 and H-3.
 * The certificate indices are from its 2.2.1.4 (low range) and 2.2.1.5 (high range).
 */
export const EK_PROFILES: Readonly<Record<EkType, EkProfile>> = Object.freeze({
  rsa2048: {
    template: L1,
    publicArea: concat(L1, fromHex("0100", ""), new Uint8Array(256)),
    persistentHandle: 0x81010001,
    certificateIndex: 0x01c00002,
    authorisation: "policy",
    nameAlgorithm: ALGORITHM.sha256,
    hash: "SHA-256",
    aesKeyBytes: 16,
  },
  "ecc-p256": {
    template: L2,
    publicArea: concat(L2, fromHex("0020", ""), new Uint8Array(32), fromHex("0020", ""), new Uint8Array(32)),
    certificateIndex: 0x01c0000a,
    authorisation: "policy",
    nameAlgorithm: ALGORITHM.sha256,
    hash: "SHA-256",
    aesKeyBytes: 16,
  },
  "ecc-p384": {
    template: H3,
    publicArea: concat(H3, new Uint8Array(4)),
    persistentHandle: 0x81010016,
    certificateIndex: 0x01c00016,
    authorisation: "password",
    nameAlgorithm: ALGORITHM.sha384,
    hash: "SHA-384",
    aesKeyBytes: 32,
  },
});
