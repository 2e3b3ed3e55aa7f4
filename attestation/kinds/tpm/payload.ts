/**
 * The encoding of TPM evidence: `u16 version`, then each part after its 16-bit length, then sixteen PCRs of 32 bytes.
 *
 * @module
 */
import type { Bytes } from "../../../platform/bytes.ts";
import { concat } from "../../../platform/bytes.ts";
import { BootstrapError } from "../../../platform/errors.ts";
import { MAXIMUM_PUBLIC_BYTES, PCR_BYTES, QUOTED_PCRS } from "./constants.ts";
import { tpmReader, tpmWriter } from "./wire.ts";

/** The parts of TPM evidence. */
export interface TpmPayload {
  /** TPMT_PUBLIC of the attestation key. */
  readonly attestationKey: Uint8Array;
  /** TPMT_PUBLIC of the endorsement key. */
  readonly endorsementKey: Uint8Array;
  /** The endorsement key's certificate, DER; empty if the TPM has none. */
  readonly certificate: Uint8Array;
  /** TPMS_ATTEST. */
  readonly attest: Uint8Array;
  /** TPMT_SIGNATURE over it. */
  readonly signature: Uint8Array;
  /** The values of SHA-256 PCRs 0 to 15, 32 bytes each. */
  readonly pcrs: readonly Uint8Array[];
}

const VERSION = 1;
/** The most that an NV index holds. */
const MAXIMUM_CERTIFICATE_BYTES = 4096;
/** The limit for TPMS_ATTEST. A quote over one bank has 145 bytes. */
const MAXIMUM_ATTEST_BYTES = 512;
/** An RSA signature of 4096 bits and its header. */
const MAXIMUM_SIGNATURE_BYTES = 518;

/** Encodes evidence. */
export function encodePayload(payload: TpmPayload): Bytes {
  return tpmWriter()
    .u16(VERSION)
    .sized16(payload.attestationKey)
    .sized16(payload.endorsementKey)
    .sized16(payload.certificate)
    .sized16(payload.attest)
    .sized16(payload.signature)
    .bytes(concat(...payload.pcrs))
    .done();
}

/**
 * Reads the outer form of evidence. It does not look into the parts.
 *
 * @throws {BootstrapError} `malformed/tpm`, `malformed/evidence-version`.
 */
export function decodePayload(bytes: Uint8Array): TpmPayload {
  const reader = tpmReader(bytes, "TPM evidence");
  const version = reader.u16("version");
  if (version !== VERSION) {
    throw new BootstrapError(
      "malformed/evidence-version",
      `Cannot read TPM evidence of version ${version}, only ${VERSION}`,
    );
  }
  const payload = {
    attestationKey: reader.sized16(MAXIMUM_PUBLIC_BYTES, "attestation key"),
    endorsementKey: reader.sized16(MAXIMUM_PUBLIC_BYTES, "endorsement key"),
    certificate: reader.sized16(MAXIMUM_CERTIFICATE_BYTES, "certificate"),
    attest: reader.sized16(MAXIMUM_ATTEST_BYTES, "attestation"),
    signature: reader.sized16(MAXIMUM_SIGNATURE_BYTES, "signature"),
    pcrs: QUOTED_PCRS.map((pcr) => reader.bytes(PCR_BYTES, `PCR ${pcr}`)),
  };
  reader.end();
  return payload;
}
