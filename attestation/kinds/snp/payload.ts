/**
 * The encoding of SNP evidence: `u16 version`, the report, then certificates and a revocation list, each after its
 * 16-bit length. All numbers are big-endian. A certificate or list is empty if the host did not give it.
 *
 * @module
 */
import type { ByteFormat } from "../../../platform/byte_reader.ts";
import { ByteReader } from "../../../platform/byte_reader.ts";
import { ByteWriter } from "../../../platform/byte_writer.ts";
import type { Bytes } from "../../../platform/bytes.ts";
import { BootstrapError } from "../../../platform/errors.ts";
import { REPORT_BYTES } from "./report.ts";

/** The parts of SNP evidence. */
export interface SnpPayload {
  /** ATTESTATION_REPORT. */
  readonly report: Uint8Array;
  /** The certificate of the key that signed the report, DER. */
  readonly vek: Uint8Array;
  /** The certificate of that key's authority, DER. */
  readonly authority: Uint8Array;
  /** The revocation list of the line's root, DER. */
  readonly crl: Uint8Array;
}

/** The largest size of each part. A VCEK's certificate has about 1,400 bytes, AMD's authorities have 1,700. */
export const MAXIMUM_PART_BYTES: Readonly<Record<"vek" | "authority" | "crl", number>> = Object.freeze({
  vek: 4096,
  authority: 4096,
  crl: 16384,
});

const VERSION = 1;
const PARTS = ["vek", "authority", "crl"] as const;
const FORMAT: ByteFormat = Object.freeze({ order: "big-endian", error: payloadError });

/** Encodes evidence. */
export function encodePayload(payload: SnpPayload): Bytes {
  const writer = new ByteWriter(FORMAT.order).u16(VERSION).bytes(payload.report);
  for (const part of PARTS) writer.sized16(payload[part]);
  return writer.done();
}

/**
 * Reads the outer form of evidence. It does not look into the parts.
 *
 * @throws {BootstrapError} `malformed/snp`, `malformed/evidence-version`.
 */
export function decodePayload(bytes: Uint8Array): SnpPayload {
  const reader = new ByteReader(bytes, "SNP evidence", FORMAT);
  const version = reader.u16("version");
  if (version !== VERSION) {
    const message = `Cannot read SNP evidence of version ${version}, only ${VERSION}`;
    throw new BootstrapError("malformed/evidence-version", message);
  }
  const part = (name: typeof PARTS[number]) => reader.sized16(MAXIMUM_PART_BYTES[name], name);
  const payload = {
    report: reader.bytes(REPORT_BYTES, "report"),
    vek: part("vek"),
    authority: part("authority"),
    crl: part("crl"),
  };
  reader.end();
  return payload;
}

function payloadError(what: string, reason: string): BootstrapError {
  return new BootstrapError("malformed/snp", `Cannot read "${what}" as ${reason}`, { details: { field: what } });
}
