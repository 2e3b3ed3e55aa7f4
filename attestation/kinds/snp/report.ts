/**
 * Reads ATTESTATION_REPORT (AMD 56860, MSG_REPORT_RSP) strictly: one length, known versions, and zeros in reserved
 * fields.
 *
 * @module
 */
import { refusal } from "../../../protocol/refusal.ts";
import type { ByteFormat } from "../../../platform/byte_reader.ts";
import { ByteReader } from "../../../platform/byte_reader.ts";
import type { Bytes } from "../../../platform/bytes.ts";
import { concat, copyOf } from "../../../platform/bytes.ts";
import { BootstrapError } from "../../../platform/errors.ts";
import { TCB_BYTES } from "./tcb.ts";

/** The size of a report, in all versions. */
export const REPORT_BYTES = 0x4a0;

/** The size of the guest's data that a report signs. */
export const REPORT_DATA_BYTES = 64;

/** The key that signed a report: a chip's, a cloud's, or none. */
export type SigningKey = "vcek" | "vlek" | "none";

/** A decoded report. Decoding does not verify it. */
export interface SnpReport {
  /** The version of the report format, 2 to 5. */
  readonly version: number;
  /** The guest's own security version. */
  readonly guestSvn: number;
  /** The guest policy that the VM was launched with; {@linkcode GUEST_POLICY_BITS}. */
  readonly policy: bigint;
  /** The privilege level that requested the report. */
  readonly vmpl: number;
  /** The running TCB. {@linkcode readTcb} reads this and the other TCBs. */
  readonly currentTcb: Bytes;
  /** The TCB of the signing key. */
  readonly reportedTcb: Bytes;
  /** The TCB below which the firmware cannot be rolled back. */
  readonly committedTcb: Bytes;
  /** The TCB that ran when the VM was launched. */
  readonly launchTcb: Bytes;
  /** The host's state; {@linkcode PLATFORM_INFO_BITS}. */
  readonly platformInfo: bigint;
  /** The kind of key that signed the report. */
  readonly signingKey: SigningKey;
  /** Whether an author key signed the VM's ID key. */
  readonly hasAuthorKey: boolean;
  /** The data that the guest asked to sign, 64 bytes. */
  readonly reportData: Bytes;
  /** The launch digest, 48 bytes. */
  readonly measurement: Bytes;
  /** HOST_DATA, set by the host at launch, 32 bytes. */
  readonly hostData: Bytes;
  /** SHA-384 of the ID key; zeros if there is none. */
  readonly idKeyDigest: Bytes;
  /** SHA-384 of the author key; zeros if there is none. */
  readonly authorKeyDigest: Bytes;
  /** REPORT_ID: the VM's number, made anew at each launch, 32 bytes. */
  readonly reportId: Bytes;
  /** REPORT_ID of the migration agent; FF if there is none. */
  readonly migrationAgentId: Bytes;
  /** The processor's combined family, combined model, and stepping. Present since version 3. */
  readonly processor?: { readonly family: number; readonly model: number; readonly stepping: number };
  /** The chip ID, 64 bytes. On Turin it is 8 bytes and zeros. It is all zeros if the host masks it. */
  readonly chipId: Bytes;
  /** The signed bytes of the report. */
  readonly signed: Bytes;
  /** r ‖ s, 48 bytes each, most significant first. */
  readonly signature: Bytes;
}

/** Bits of the guest policy (AMD 56860, table 10), by their numbers. */
export const GUEST_POLICY_BITS = {
  smt: 16,
  migrationAgent: 18,
  debug: 19,
  singleSocket: 20,
  cxl: 21,
  memoryAes256Xts: 22,
  raplDisabled: 23,
  ciphertextHiding: 24,
  pageSwapDisabled: 25,
} as const;

/** Bits of PLATFORM_INFO (AMD 56860, table 24), by their numbers. */
export const PLATFORM_INFO_BITS = {
  smt: 0,
  tsme: 1,
  ecc: 2,
  raplDisabled: 3,
  ciphertextHiding: 4,
  aliasCheckComplete: 5,
  tio: 7,
} as const;

const CHIP_ID_OFFSET = 0x1a0;
/** The offset at which the signed part ends and the signature begins. */
export const SIGNATURE_OFFSET = 0x2a0;
const FORMAT: ByteFormat = Object.freeze({ order: "little-endian", error: reportError });
const VERSIONS = [2, 3, 4, 5];
const ECDSA_P384_SHA384 = 1;
/** The reserved bit of the guest policy that must be one. */
const RESERVED_ONE_BIT = 17;
/** r and s have 72 bytes each, least significant first. A P-384 scalar needs 48 of them (AMD 56860, table 137). */
const SCALAR_FIELD_BYTES = 72;
const SCALAR_BYTES = 48;
const SIGNING_KEYS: readonly (SigningKey | undefined)[] = [
  "vcek",
  "vlek",
  undefined,
  undefined,
  undefined,
  undefined,
  undefined,
  "none",
];

/**
 * Reads a report.
 *
 * @param bytes Exactly {@linkcode REPORT_BYTES}.
 * @throws {BootstrapError} `malformed/snp-report`, which names the wrong field; `refused/snp-signature-algorithm`.
 */
export function readReport(bytes: Uint8Array): SnpReport {
  if (bytes.length !== REPORT_BYTES) {
    throw reportError("SNP report", `it has ${bytes.length} bytes, not ${REPORT_BYTES}`);
  }
  const reader = new ByteReader(bytes, "SNP report", FORMAT);
  const version = reader.u32("VERSION");
  if (!VERSIONS.includes(version)) throw reader.error(`its version is ${version}, not one of ${VERSIONS.join(", ")}`);
  const guestSvn = reader.u32("GUEST_SVN");
  const policy = reader.u64("POLICY");
  reader.skip(32, "FAMILY_ID and IMAGE_ID");
  const vmpl = reader.u32("VMPL");
  checkAlgorithm(reader.u32("SIGNATURE_ALGO"));
  checkBits(reader, policy, "guest policy", [...range(0, 15), RESERVED_ONE_BIT, ...bits(GUEST_POLICY_BITS)]);
  if (!hasBit(policy, RESERVED_ONE_BIT)) throw reader.error(`bit ${RESERVED_ONE_BIT} of the guest policy is not one`);
  const currentTcb = reader.bytes(TCB_BYTES, "CURRENT_TCB");
  const platformInfo = reader.u64("PLATFORM_INFO");
  checkBits(reader, platformInfo, "platform info", bits(PLATFORM_INFO_BITS));
  const keyInfo = reader.u32("KEY_INFO");
  const signingKey = SIGNING_KEYS[keyInfo >> 2 & 7];
  if (keyInfo >= 1 << 5 || signingKey === undefined) {
    throw reader.error(`its signing key has an unknown value, ${keyInfo.toString(16)}`);
  }
  reader.zeros(4, "reserved");
  const fields = {
    version,
    guestSvn,
    policy,
    vmpl,
    currentTcb,
    platformInfo,
    signingKey,
    hasAuthorKey: (keyInfo & 1) === 1,
    reportData: reader.bytes(REPORT_DATA_BYTES, "REPORT_DATA"),
    measurement: reader.bytes(48, "MEASUREMENT"),
    hostData: reader.bytes(32, "HOST_DATA"),
    idKeyDigest: reader.bytes(48, "ID_KEY_DIGEST"),
    authorKeyDigest: reader.bytes(48, "AUTHOR_KEY_DIGEST"),
    reportId: reader.bytes(32, "REPORT_ID"),
    migrationAgentId: reader.bytes(32, "REPORT_ID_MA"),
    reportedTcb: reader.bytes(TCB_BYTES, "REPORTED_TCB"),
  };
  const processor = version < 3 ? {} : { processor: readProcessor(reader) };
  reader.zeros(CHIP_ID_OFFSET - reader.offset, "reserved");
  const chipId = reader.bytes(64, "CHIP_ID");
  const committedTcb = reader.bytes(TCB_BYTES, "COMMITTED_TCB");
  skipVersion(reader, "CURRENT");
  skipVersion(reader, "COMMITTED");
  const launchTcb = reader.bytes(TCB_BYTES, "LAUNCH_TCB");
  if (version >= 5) reader.skip(16, "LAUNCH_MIT_VECTOR and CURRENT_MIT_VECTOR");
  reader.zeros(SIGNATURE_OFFSET - reader.offset, "reserved");
  const signature = concat(readScalar(reader, "r"), readScalar(reader, "s"));
  reader.zeros(reader.remaining, "reserved");
  const signed = copyOf(bytes.subarray(0, SIGNATURE_OFFSET));
  return { ...fields, ...processor, chipId, committedTcb, launchTcb, signed, signature };
}

/** The names of the set bits, for people. */
export function bitNames(value: bigint, names: Readonly<Record<string, number>>): string {
  return Object.keys(names).filter((name) => hasBit(value, names[name] ?? 0)).join(", ") || "none";
}

/** Tells whether a bit is set. */
export function hasBit(value: bigint, bit: number): boolean {
  return (value >> BigInt(bit) & 1n) === 1n;
}

function checkAlgorithm(algorithm: number): void {
  if (algorithm === ECDSA_P384_SHA384) return;
  const message = "The report is signed by an algorithm that is not allowed";
  throw refusal("snp-signature-algorithm", message, "1 (ECDSA P-384 with SHA-384)", String(algorithm));
}

function checkBits(reader: ByteReader, value: bigint, what: string, known: readonly number[]): void {
  const mask = known.reduce((sum, bit) => sum | 1n << BigInt(bit), 0n);
  if ((value & ~mask) !== 0n) throw reader.error(`its ${what} has a reserved bit set: ${value.toString(16)}`);
}

function readProcessor(reader: ByteReader): NonNullable<SnpReport["processor"]> {
  return { family: reader.u8("CPUID_FAM_ID"), model: reader.u8("CPUID_MOD_ID"), stepping: reader.u8("CPUID_STEP") };
}

/** Skips a firmware version: build, minor and major. The SVN covers it. */
function skipVersion(reader: ByteReader, name: string): void {
  reader.skip(3, `${name}_BUILD, ${name}_MINOR and ${name}_MAJOR`);
  reader.zeros(1, "reserved");
}

/** Reads a scalar; the result has the most significant octet first. */
function readScalar(reader: ByteReader, name: string): Bytes {
  const scalar = reader.bytes(SCALAR_BYTES, name).reverse();
  reader.zeros(SCALAR_FIELD_BYTES - SCALAR_BYTES, `upper octets of ${name}`);
  return scalar;
}

function bits(names: Readonly<Record<string, number>>): number[] {
  return Object.values(names);
}

function range(first: number, last: number): number[] {
  return Array.from({ length: last - first + 1 }, (_, index) => first + index);
}

function reportError(what: string, reason: string): BootstrapError {
  return new BootstrapError("malformed/snp-report", `Cannot read "${what}" as ${reason}`, { details: { field: what } });
}
