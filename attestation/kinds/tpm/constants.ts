/**
 * Numbers from the TPM 2.0 library specification, Part 2 (structures), under the specification's names.
 *
 * @module
 */

/** TPM_ST: the type of a command or of an attestation. */
export const TAG = {
  noSessions: 0x8001,
  sessions: 0x8002,
  attestQuote: 0x8018,
} as const;

/** TPM_CC: the commands that this program sends. */
export const COMMAND = {
  createPrimary: 0x131,
  startup: 0x144,
  activateCredential: 0x147,
  nvRead: 0x14e,
  policySecret: 0x151,
  quote: 0x158,
  flushContext: 0x165,
  nvReadPublic: 0x169,
  readPublic: 0x173,
  startAuthSession: 0x176,
  pcrRead: 0x17e,
  pcrExtend: 0x182,
} as const;

/** TPM_RH: handles that every TPM has. */
export const HANDLE = {
  owner: 0x40000001,
  null: 0x40000007,
  password: 0x40000009,
  endorsement: 0x4000000b,
} as const;

/** TPM_ALG_ID. */
export const ALGORITHM = {
  rsa: 0x0001,
  aes: 0x0006,
  sha256: 0x000b,
  sha384: 0x000c,
  null: 0x0010,
  rsassa: 0x0014,
  rsapss: 0x0016,
  ecdsa: 0x0018,
  ecc: 0x0023,
  cfb: 0x0043,
} as const;

/** TPM_ECC_CURVE. */
export const CURVE = { p256: 0x0003, p384: 0x0004 } as const;

/** TPMA_OBJECT: the bits that this program checks. */
export const ATTRIBUTE = {
  fixedTpm: 1 << 1,
  fixedParent: 1 << 4,
  sensitiveDataOrigin: 1 << 5,
  restricted: 1 << 16,
  decrypt: 1 << 17,
  sign: 1 << 18,
} as const;

/**
 * TPM_GENERATED_VALUE, "\xffTCG": a TPM puts it in front of every attestation. A restricted key signs no other data
 * that starts with it.
 */
export const GENERATED_VALUE = 0xff544347;

/**
 * The largest command or response. It is TPM2_PT_MAX_COMMAND_SIZE of every known TPM, and TPM_BUFSIZE of the Linux
 * driver.
 */
export const MAXIMUM_MESSAGE_BYTES = 4096;
/** The largest TPM2B_DIGEST: SHA-512. */
export const MAXIMUM_DIGEST_BYTES = 64;
/** The largest TPM2B_NAME: the algorithm and a digest. */
export const MAXIMUM_NAME_BYTES = 66;
/** The largest TPM2B_PUBLIC that is read. An RSA key of 2048 bits with a policy has 314 bytes. */
export const MAXIMUM_PUBLIC_BYTES = 512;
/** The PCRs of every quote: all PCRs that firmware, boot loader, kernel and this program extend. */
export const QUOTED_PCRS: readonly number[] = Object.freeze(Array.from({ length: 16 }, (_, index) => index));
/** The size of a SHA-256 PCR. */
export const PCR_BYTES = 32;
