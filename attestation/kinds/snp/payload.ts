/**
 * The encoding of SNP evidence: `u16 version`, the report, then certificates and a revocation list, each with its length in
 * 16 bits in front, all big-endian. Each of the latter may be empty, where the host did not give it.
 *
 * @module
 */
import type { Bytes } from "../../../platform/bytes.ts";
import { concat, copyOf } from "../../../platform/bytes.ts";
import { BootstrapError } from "../../../platform/errors.ts";
import { REPORT_BYTES } from "./report.ts";

/** The parts of SNP evidence. */
export interface SnpPayload {
  /** ATTESTATION_REPORT. */
  readonly report: Uint8Array;
  /** The certificate of the key that signed it, DER. */
  readonly vek: Uint8Array;
  /** The certificate of that one's authority, DER. */
  readonly authority: Uint8Array;
  /** The revocation list of the line's root, DER. */
  readonly crl: Uint8Array;
}

/** What each part may have at most. A VCEK's certificate has about 1,400 bytes, AMD's authorities 1,700. */
export const MAXIMUM_PART_BYTES: Readonly<Record<"vek" | "authority" | "crl", number>> = Object.freeze({
  vek: 4096,
  authority: 4096,
  crl: 16384,
});

const VERSION = 1;
const PARTS = ["vek", "authority", "crl"] as const;

/** Writes evidence. */
export function encodePayload(payload: SnpPayload): Bytes {
  return concat(
    u16be(VERSION),
    payload.report,
    ...PARTS.flatMap((part) => [u16be(payload[part].length), payload[part]]),
  );
}

/**
 * Reads evidence: its outer form, not what is in its parts.
 *
 * @throws {BootstrapError} `malformed/snp`, `malformed/evidence-version`.
 */
export function decodePayload(bytes: Uint8Array): SnpPayload {
  let offset = 0;
  const take = (length: number): Bytes => {
    if (length > bytes.length - offset) {
      throw payloadError(`${length} bytes are wanted where ${bytes.length - offset} are left`);
    }
    offset += length;
    return copyOf(bytes.subarray(offset - length, offset));
  };
  const number = () => take(2).reduce((value, octet) => value * 256 + octet, 0);
  const version = number();
  if (version !== VERSION) {
    const message = `Cannot read SNP evidence of version ${version}, only ${VERSION}`;
    throw new BootstrapError("malformed/evidence-version", message);
  }
  const report = take(REPORT_BYTES);
  const [vek, authority, crl] = PARTS.map((part) => {
    const length = number();
    if (length > MAXIMUM_PART_BYTES[part]) {
      throw payloadError(`its part "${part}" has ${length} bytes, more than ${MAXIMUM_PART_BYTES[part]}`);
    }
    return take(length);
  }) as [Bytes, Bytes, Bytes];
  if (offset !== bytes.length) throw payloadError(`${bytes.length - offset} bytes follow it`);
  return { report, vek, authority, crl };
}

function u16be(value: number): Bytes {
  return Uint8Array.of(value >> 8, value & 0xff);
}

function payloadError(reason: string): BootstrapError {
  return new BootstrapError("malformed/snp", `Cannot read "SNP evidence" as ${reason}`, {
    details: { field: "SNP evidence" },
  });
}
