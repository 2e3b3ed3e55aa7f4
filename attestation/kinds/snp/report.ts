/**
 * ATTESTATION_REPORT (AMD 56860, MSG_REPORT_RSP), read strictly: one length, known versions, and zeros where they must be.
 *
 * @module
 */
import { refusal } from "../../../protocol/refusal.ts";
import type { Bytes } from "../../../platform/bytes.ts";
import { concat, copyOf, isZero } from "../../../platform/bytes.ts";
import { BootstrapError } from "../../../platform/errors.ts";

/** The size of a report of every version. */
export const REPORT_BYTES = 0x4a0;

/** The size of what the guest has signed with a report. */
export const REPORT_DATA_BYTES = 64;

/** What signed a report: a chip's key, a cloud's key, or nothing. */
export type SigningKey = "vcek" | "vlek" | "none";

/** A report. That it could be read says nothing about its truth. */
export interface SnpReport {
  /** The version of the form, 2 to 5. */
  readonly version: number;
  /** The guest's own security version. */
  readonly guestSvn: number;
  /** The guest policy that the VM was launched with; {@linkcode GUEST_POLICY_BITS}. */
  readonly policy: bigint;
  /** The privilege level that asked. */
  readonly vmpl: number;
  /** The TCB that runs; {@linkcode readTcb} reads this and the others. */
  readonly currentTcb: Bytes;
  /** The TCB that the signing key is of. */
  readonly reportedTcb: Bytes;
  /** The TCB that the firmware cannot go back behind. */
  readonly committedTcb: Bytes;
  /** The TCB that ran when the VM was launched. */
  readonly launchTcb: Bytes;
  /** The host's state; {@linkcode PLATFORM_INFO_BITS}. */
  readonly platformInfo: bigint;
  /** What signed it. */
  readonly signingKey: SigningKey;
  /** Whether an author key signed the VM's ID key. */
  readonly hasAuthorKey: boolean;
  /** What the guest asked to have signed, 64 bytes. */
  readonly reportData: Bytes;
  /** The launch digest, 48 bytes. */
  readonly measurement: Bytes;
  /** What the host gave at launch, 32 bytes. */
  readonly hostData: Bytes;
  /** SHA-384 of the ID key, or zeros. */
  readonly idKeyDigest: Bytes;
  /** SHA-384 of the author key, or zeros. */
  readonly authorKeyDigest: Bytes;
  /** The VM's own number of this launch, 32 bytes. */
  readonly reportId: Bytes;
  /** That of its migration agent, or FF. */
  readonly migrationAgentId: Bytes;
  /** The processor's combined family and model and its stepping, since version 3. */
  readonly processor?: { readonly family: number; readonly model: number; readonly stepping: number };
  /** The chip, 64 bytes; on Turin 8 bytes and zeros; zeros where the host masks it. */
  readonly chipId: Bytes;
  /** What was signed. */
  readonly signed: Bytes;
  /** r ‖ s, 48 bytes each, most significant first. */
  readonly signature: Bytes;
}

/** Bits of the guest policy that say something of a VM (AMD 56860, table 10), by their numbers. */
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

/** The byte where the signed part ends and the signature begins. */
export const SIGNATURE_OFFSET = 0x2a0;
const VERSIONS = [2, 3, 4, 5];
const ECDSA_P384_SHA384 = 1;
/** The bit of the guest policy that must be one. */
const RESERVED_ONE_BIT = 17;
/** r and s have 72 bytes each, least significant first, of which a P-384 scalar needs 48 (AMD 56860, table 137). */
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
 * @throws {BootstrapError} `malformed/snp-report`, naming what is wrong; `refused/snp-signature-algorithm`.
 */
export function readReport(bytes: Uint8Array): SnpReport {
  if (bytes.length !== REPORT_BYTES) throw reportError(`it has ${bytes.length} bytes, not ${REPORT_BYTES}`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const version = view.getUint32(0x00, true);
  if (!VERSIONS.includes(version)) throw reportError(`its version is ${version}, not one of ${VERSIONS.join(", ")}`);
  const algorithm = view.getUint32(0x34, true);
  if (algorithm !== ECDSA_P384_SHA384) {
    const message = "The report is signed by an algorithm that is not allowed";
    throw refusal("snp-signature-algorithm", message, "1 (ECDSA P-384 with SHA-384)", String(algorithm));
  }
  checkReserved(bytes, version);
  const policy = readBits(view, 0x08, "guest policy", [...range(0, 15), RESERVED_ONE_BIT, ...bits(GUEST_POLICY_BITS)]);
  if (!hasBit(policy, RESERVED_ONE_BIT)) throw reportError(`bit ${RESERVED_ONE_BIT} of the guest policy is not one`);
  const keyInfo = view.getUint32(0x48, true);
  const signingKey = SIGNING_KEYS[keyInfo >> 2 & 7];
  if (keyInfo >= 1 << 5 || signingKey === undefined) {
    throw reportError(`its signing key is told by an unknown value, ${keyInfo.toString(16)}`);
  }
  const field = (start: number, end: number) => copyOf(bytes.subarray(start, end));
  return {
    version,
    guestSvn: view.getUint32(0x04, true),
    policy,
    vmpl: view.getUint32(0x30, true),
    currentTcb: field(0x38, 0x40),
    platformInfo: readBits(view, 0x40, "platform info", bits(PLATFORM_INFO_BITS)),
    signingKey,
    hasAuthorKey: (keyInfo & 1) === 1,
    reportData: field(0x50, 0x90),
    measurement: field(0x90, 0xc0),
    hostData: field(0xc0, 0xe0),
    idKeyDigest: field(0xe0, 0x110),
    authorKeyDigest: field(0x110, 0x140),
    reportId: field(0x140, 0x160),
    migrationAgentId: field(0x160, 0x180),
    reportedTcb: field(0x180, 0x188),
    ...(version < 3 ? {} : {
      processor: { family: view.getUint8(0x188), model: view.getUint8(0x189), stepping: view.getUint8(0x18a) },
    }),
    chipId: field(0x1a0, 0x1e0),
    committedTcb: field(0x1e0, 0x1e8),
    launchTcb: field(0x1f0, 0x1f8),
    signed: field(0, SIGNATURE_OFFSET),
    signature: concat(
      scalarAt(bytes, SIGNATURE_OFFSET, "r"),
      scalarAt(bytes, SIGNATURE_OFFSET + SCALAR_FIELD_BYTES, "s"),
    ),
  };
}

/** The names of the bits that are set, for people. */
export function bitNames(value: bigint, names: Readonly<Record<string, number>>): string {
  return Object.keys(names).filter((name) => hasBit(value, names[name] ?? 0)).join(", ") || "none";
}

/** Whether a bit is set. */
export function hasBit(value: bigint, bit: number): boolean {
  return (value >> BigInt(bit) & 1n) === 1n;
}

function checkReserved(bytes: Uint8Array, version: number): void {
  const reserved: readonly (readonly [start: number, end: number])[] = [
    [0x4c, 0x50],
    [version < 3 ? 0x188 : 0x18b, 0x1a0],
    [0x1eb, 0x1ec],
    [0x1ef, 0x1f0],
    [version < 5 ? 0x1f8 : 0x208, SIGNATURE_OFFSET],
    [SIGNATURE_OFFSET + 2 * SCALAR_FIELD_BYTES, REPORT_BYTES],
  ];
  for (const [start, end] of reserved) {
    if (isZero(bytes.subarray(start, end))) continue;
    throw reportError(`the bytes from ${start.toString(16)} to ${end.toString(16)} are reserved and not zero`);
  }
}

function readBits(view: DataView, offset: number, what: string, known: readonly number[]): bigint {
  const value = view.getBigUint64(offset, true);
  const mask = known.reduce((sum, bit) => sum | 1n << BigInt(bit), 0n);
  if ((value & ~mask) !== 0n) throw reportError(`its ${what} has a reserved bit set: ${value.toString(16)}`);
  return value;
}

function scalarAt(bytes: Uint8Array, offset: number, name: string): Bytes {
  const field = copyOf(bytes.subarray(offset, offset + SCALAR_FIELD_BYTES)).reverse();
  const [padding, scalar] = [SCALAR_FIELD_BYTES - SCALAR_BYTES, SCALAR_BYTES];
  if (!isZero(field.subarray(0, padding))) throw reportError(`the ${name} of its signature is too large`);
  return field.slice(padding, padding + scalar);
}

function bits(names: Readonly<Record<string, number>>): number[] {
  return Object.values(names);
}

function range(first: number, last: number): number[] {
  return Array.from({ length: last - first + 1 }, (_, index) => first + index);
}

function reportError(reason: string): BootstrapError {
  return new BootstrapError("malformed/snp-report", `Cannot read "SNP report" as ${reason}`, {
    details: { field: "SNP report" },
  });
}
