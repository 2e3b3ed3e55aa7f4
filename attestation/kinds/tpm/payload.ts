/**
 * The encoding of TPM evidence: `u16 version`, then each part after its 16-bit length, then sixteen PCRs of 32 bytes.
 * Version 2 adds a chain after the certificate: `u8 count`, then each certificate after its 16-bit length. Evidence
 * without a chain is written as version 1, which earlier verifiers read.
 *
 * @module
 */
import type { ByteReader } from "../../../platform/byte_reader.ts";
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
  /** The endorsement key's certificate; empty if the TPM has none. Some TPMs store it in a wrapper. */
  readonly certificate: Uint8Array;
  /** Certificates of authorities that the TPM stores, DER, in any order. Default: none. */
  readonly chain?: readonly Uint8Array[];
  /** TPMS_ATTEST. */
  readonly attest: Uint8Array;
  /** TPMT_SIGNATURE over it. */
  readonly signature: Uint8Array;
  /** The values of SHA-256 PCRs 0 to 15, 32 bytes each. */
  readonly pcrs: readonly Uint8Array[];
}

const VERSION = 1;
const VERSION_WITH_CHAIN = 2;
/** The most certificates of a chain. Intel's TPMs store three. */
export const MAXIMUM_CHAIN = 8;
/** The most that an NV index holds. */
export const MAXIMUM_CERTIFICATE_BYTES = 4096;
/** The limit for TPMS_ATTEST. A quote over one bank has 145 bytes. */
const MAXIMUM_ATTEST_BYTES = 512;
/** An RSA signature of 4096 bits and its header. */
const MAXIMUM_SIGNATURE_BYTES = 518;

/** Encodes evidence. */
export function encodePayload(payload: TpmPayload): Bytes {
  const { chain = [] } = payload;
  const writer = tpmWriter()
    .u16(chain.length === 0 ? VERSION : VERSION_WITH_CHAIN)
    .sized16(payload.attestationKey)
    .sized16(payload.endorsementKey)
    .sized16(payload.certificate);
  if (chain.length > 0) {
    writer.u8(chain.length);
    for (const certificate of chain) writer.sized16(certificate);
  }
  return writer
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
  if (version !== VERSION && version !== VERSION_WITH_CHAIN) {
    const message = `Cannot read TPM evidence of version ${version}, only ${VERSION} and ${VERSION_WITH_CHAIN}`;
    throw new BootstrapError("malformed/evidence-version", message);
  }
  const payload = {
    attestationKey: reader.sized16(MAXIMUM_PUBLIC_BYTES, "attestation key"),
    endorsementKey: reader.sized16(MAXIMUM_PUBLIC_BYTES, "endorsement key"),
    certificate: reader.sized16(MAXIMUM_CERTIFICATE_BYTES, "certificate"),
    ...(version === VERSION ? {} : { chain: readChain(reader) }),
    attest: reader.sized16(MAXIMUM_ATTEST_BYTES, "attestation"),
    signature: reader.sized16(MAXIMUM_SIGNATURE_BYTES, "signature"),
    pcrs: QUOTED_PCRS.map((pcr) => reader.bytes(PCR_BYTES, `PCR ${pcr}`)),
  };
  reader.end();
  return payload;
}

/** A chain has a certificate: evidence without one has only one encoding, that of version 1. */
function readChain(reader: ByteReader): readonly Bytes[] {
  const count = reader.u8("count of the chain");
  if (count === 0 || count > MAXIMUM_CHAIN) {
    throw reader.error(`its chain has ${count} certificates, not 1 to ${MAXIMUM_CHAIN}`);
  }
  return Array.from({ length: count }, (_, index) => {
    return reader.sized16(MAXIMUM_CERTIFICATE_BYTES, `certificate ${index} of the chain`);
  });
}
