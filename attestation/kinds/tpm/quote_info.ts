/**
 * TPMS_ATTEST of a quote: the data that the TPM signed (TPM 2.0 Part 2, 10.12.12).
 *
 * @module
 */
import { refusal } from "../../../protocol/refusal.ts";
import type { Bytes } from "../../../platform/bytes.ts";
import { GENERATED_VALUE, MAXIMUM_DIGEST_BYTES, MAXIMUM_NAME_BYTES, TAG } from "./constants.ts";
import type { PcrSelection } from "./pcr_selection.ts";
import { readPcrSelection } from "./pcr_selection.ts";
import { tpmReader } from "./wire.ts";

/** The contents of a quote. */
export interface QuoteInfo {
  /** The qualified name of the signing key. */
  readonly qualifiedSigner: Bytes;
  /** The qualifying data from the caller. */
  readonly extraData: Bytes;
  /** The number of TPM resets. */
  readonly resetCount: number;
  /** The number of restarts and resumes since the last reset. */
  readonly restartCount: number;
  /** The quoted PCRs. */
  readonly selections: readonly PcrSelection[];
  /** The digest of the quoted PCR values. */
  readonly pcrDigest: Bytes;
}

const WHAT = "quote";
const MAXIMUM_BOOLEAN = 1;

/**
 * Reads the attestation of one quote. The bytes must contain nothing else.
 *
 * @throws {BootstrapError} `refused/attest-magic` if no TPM made it, `refused/attest-type` if it is not a quote,
 *   `malformed/tpm`.
 */
export function readQuoteInfo(bytes: Uint8Array): QuoteInfo {
  const reader = tpmReader(bytes, WHAT);
  const magic = reader.u32("magic");
  if (magic !== GENERATED_VALUE) {
    throw refusal("attest-magic", "The quote was not made by a TPM", GENERATED_VALUE.toString(16), magic.toString(16));
  }
  const type = reader.u16("type");
  if (type !== TAG.attestQuote) {
    throw refusal("attest-type", "The attestation is not a quote", TAG.attestQuote.toString(16), type.toString(16));
  }
  const qualifiedSigner = reader.sized16(MAXIMUM_NAME_BYTES, "qualifiedSigner");
  const extraData = reader.sized16(MAXIMUM_NAME_BYTES, "extraData");
  reader.u64("clock");
  const resetCount = reader.u32("resetCount");
  const restartCount = reader.u32("restartCount");
  const safe = reader.u8("safe");
  if (safe > MAXIMUM_BOOLEAN) throw reader.error(`its field safe is neither 0 nor 1: current value is ${safe}`);
  reader.u64("firmwareVersion"); // Obfuscated for keys outside the platform and endorsement hierarchies.
  const selections = readPcrSelection(reader);
  const pcrDigest = reader.sized16(MAXIMUM_DIGEST_BYTES, "pcrDigest");
  reader.end();
  return { qualifiedSigner, extraData, resetCount, restartCount, selections, pcrDigest };
}
