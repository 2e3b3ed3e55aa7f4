/**
 * Reads ATTESTATION_REPORT (AMD 56860, MSG_REPORT_RSP): one length, known versions, and zeros wherever the signature
 * does not reach. Signed bits and bytes without a name are kept: the processor vouches for them, and later firmware uses
 * more of them.
 *
 * @module
 */
import { refusal } from "../../../protocol/refusal.ts";
import type { ByteFormat } from "../../../platform/byte_reader.ts";
import { ByteReader } from "../../../platform/byte_reader.ts";
import type { Bytes } from "../../../platform/bytes.ts";
import { concat, copyOf } from "../../../platform/bytes.ts";
import { BootstrapError } from "../../../platform/errors.ts";
import { hasBit, setBits } from "../../bit_rules.ts";
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
  /** The set bits and bytes that have no name here, for people, such as `platform info bit 6`. */
  readonly unnamed: readonly string[];
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

/** The bits of a field that has no others than those with a name: 0 to 15 are the ABI's version, and 17 is always one. */
const GUEST_POLICY_NUMBER_BITS = 16;
/** The reserved bit of the guest policy that must be one. */
const RESERVED_ONE_BIT = 17;

const POLICY_OFFSET = 0x08;
const PLATFORM_INFO_OFFSET = 0x40;
const CHIP_ID_OFFSET = 0x1a0;
/** The offset at which the signed part ends and the signature begins. */
export const SIGNATURE_OFFSET = 0x2a0;
const FORMAT: ByteFormat = Object.freeze({ order: "little-endian", error: reportError });
const VERSIONS = [2, 3, 4, 5];
const LATEST_VERSION = 5;
const ECDSA_P384_SHA384 = 1;
/** The bits of KEY_INFO that have a name: author key, masked chip key, signing key. */
const KEY_INFO_BITS = 5;
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
 * @throws {BootstrapError} `malformed/snp-report`, which names the wrong field; `refused/snp-report-version` for a later
 *   version, whose layout is unknown; `refused/snp-signature-algorithm`, `refused/snp-signing-key`.
 */
export function readReport(bytes: Uint8Array): SnpReport {
  if (bytes.length !== REPORT_BYTES) {
    throw reportError("SNP report", `it has ${bytes.length} bytes, not ${REPORT_BYTES}`);
  }
  const reader = new ByteReader(bytes, "SNP report", FORMAT);
  const version = reader.u32("VERSION");
  if (version > LATEST_VERSION) throw versionRefusal(version, reader);
  if (!VERSIONS.includes(version)) throw reader.error(`its version is ${version}, not one of ${VERSIONS.join(", ")}`);
  const unnamed: string[] = [];
  const guestSvn = reader.u32("GUEST_SVN");
  const policy = reader.u64("POLICY");
  reader.skip(32, "FAMILY_ID and IMAGE_ID");
  const vmpl = reader.u32("VMPL");
  checkAlgorithm(reader.u32("SIGNATURE_ALGO"));
  if (!hasBit(policy, RESERVED_ONE_BIT)) throw reader.error(`bit ${RESERVED_ONE_BIT} of the guest policy is not one`);
  const currentTcb = reader.bytes(TCB_BYTES, "CURRENT_TCB");
  const platformInfo = reader.u64("PLATFORM_INFO");
  unnamed.push(...unnamedBits(policy, platformInfo));
  const keyInfo = reader.u32("KEY_INFO");
  const signingKey = SIGNING_KEYS[keyInfo >> 2 & 7];
  if (signingKey === undefined) {
    const message = "The report is signed by a kind of key that this version does not know";
    throw refusal("snp-signing-key", message, "vcek, vlek", String(keyInfo >> 2 & 7));
  }
  unnamed.push(
    ...setBits(BigInt(keyInfo) >> BigInt(KEY_INFO_BITS)).map((bit) => `KEY_INFO bit ${bit + KEY_INFO_BITS}`),
  );
  unnamed.push(...setBytes(reader, 4));
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
  unnamed.push(...setBytes(reader, CHIP_ID_OFFSET - reader.offset));
  const chipId = reader.bytes(64, "CHIP_ID");
  const committedTcb = reader.bytes(TCB_BYTES, "COMMITTED_TCB");
  unnamed.push(...skipVersion(reader, "CURRENT"), ...skipVersion(reader, "COMMITTED"));
  const launchTcb = reader.bytes(TCB_BYTES, "LAUNCH_TCB");
  if (version >= 5) reader.skip(16, "LAUNCH_MIT_VECTOR and CURRENT_MIT_VECTOR");
  unnamed.push(...setBytes(reader, SIGNATURE_OFFSET - reader.offset));
  const signature = concat(readScalar(reader, "r"), readScalar(reader, "s"));
  reader.zeros(reader.remaining, "reserved");
  const signed = copyOf(bytes.subarray(0, SIGNATURE_OFFSET));
  return { ...fields, ...processor, chipId, committedTcb, launchTcb, unnamed, signed, signature };
}

function checkAlgorithm(algorithm: number): void {
  if (algorithm === ECDSA_P384_SHA384) return;
  const message = "The report is signed by an algorithm that is not allowed";
  throw refusal("snp-signature-algorithm", message, "1 (ECDSA P-384 with SHA-384)", String(algorithm));
}

function versionRefusal(version: number, start: ByteReader): BootstrapError {
  const unnamed = unnamedBits(
    start.at(POLICY_OFFSET).u64("POLICY"),
    start.at(PLATFORM_INFO_OFFSET).u64("PLATFORM_INFO"),
  );
  const more = unnamed.length === 0 ? "" : `. It also has ${unnamed.join(", ")}, which have no name here`;
  const message = `The report is of version ${version}, and this program knows reports up to version ${LATEST_VERSION}`;
  const next = "Use a newer version of the bootstrapper, which knows such reports, where evidence is verified";
  return refusal("snp-report-version", `${message}${more}`, `at most ${LATEST_VERSION}`, String(version), next);
}

/** The set bits that have no name here. */
function unnamedBits(policy: bigint, platformInfo: bigint): string[] {
  return [
    ...unnamedPolicyBits(policy).map((bit) => `guest policy bit ${bit}`),
    ...unnamedPlatformBits(platformInfo).map((bit) => `platform info bit ${bit}`),
  ];
}

/** The numbers of the set flags of a guest policy that have no name here. */
export function unnamedPolicyBits(policy: bigint): readonly number[] {
  const known: readonly number[] = [RESERVED_ONE_BIT, ...Object.values(GUEST_POLICY_BITS)];
  return setBits(policy).filter((bit) => bit >= GUEST_POLICY_NUMBER_BITS && !known.includes(bit));
}

/** The numbers of the set bits of PLATFORM_INFO that have no name here. */
export function unnamedPlatformBits(platformInfo: bigint): readonly number[] {
  const known: readonly number[] = Object.values(PLATFORM_INFO_BITS);
  return setBits(platformInfo).filter((bit) => !known.includes(bit));
}

/** Reads reserved bytes, and names those that are not zero. */
function setBytes(reader: ByteReader, length: number): readonly string[] {
  const at = reader.offset;
  return [...reader.bytes(length, "reserved")].flatMap((byte, index) =>
    byte === 0 ? [] : [`byte ${byte.toString(16).padStart(2, "0")} at 0x${(at + index).toString(16)}`]
  );
}

function readProcessor(reader: ByteReader): NonNullable<SnpReport["processor"]> {
  return { family: reader.u8("CPUID_FAM_ID"), model: reader.u8("CPUID_MOD_ID"), stepping: reader.u8("CPUID_STEP") };
}

/** Skips a firmware version: build, minor and major. The SVN covers it. */
function skipVersion(reader: ByteReader, name: string): readonly string[] {
  reader.skip(3, `${name}_BUILD, ${name}_MINOR and ${name}_MAJOR`);
  return setBytes(reader, 1);
}

/** Reads a scalar; the result has the most significant octet first. */
function readScalar(reader: ByteReader, name: string): Bytes {
  const scalar = reader.bytes(SCALAR_BYTES, name).reverse();
  reader.zeros(SCALAR_FIELD_BYTES - SCALAR_BYTES, `upper octets of ${name}`);
  return scalar;
}

function reportError(what: string, reason: string): BootstrapError {
  return new BootstrapError("malformed/snp-report", `Cannot read "${what}" as ${reason}`, { details: { field: what } });
}
