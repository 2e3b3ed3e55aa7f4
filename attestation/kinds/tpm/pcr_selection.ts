/**
 * TPML_PCR_SELECTION: selected PCRs, by bank (TPM 2.0 Part 2, 10.6.2).
 *
 * @module
 */
import type { ByteReader } from "../../../platform/byte_reader.ts";
import type { Bytes } from "../../../platform/bytes.ts";
import { ALGORITHM } from "./constants.ts";
import { tpmWriter } from "./wire.ts";

/** The selected PCRs of one bank. */
export interface PcrSelection {
  /** TPM_ALG_ID of the bank. */
  readonly hash: number;
  /** The PCR numbers, ascending. */
  readonly pcrs: readonly number[];
}

/** 24 PCRs (PC Client Platform TPM Profile), eight to an octet. */
const SELECT_BYTES = 3;
const MAXIMUM_SELECT_BYTES = 4;
/** One bank for each hash of TPM_ALG_ID. HASH_COUNT is at most 16 in every implementation. */
const MAXIMUM_BANKS = 16;

/** Encodes a selection of PCRs from the SHA-256 bank only. */
export function encodePcrSelection(pcrs: readonly number[]): Bytes {
  const bits = new Uint8Array(SELECT_BYTES);
  for (const pcr of pcrs) bits[pcr >> 3] = (bits[pcr >> 3] ?? 0) | 1 << (pcr & 7);
  return tpmWriter().u32(1).u16(ALGORITHM.sha256).u8(SELECT_BYTES).bytes(bits).done();
}

/** Reads the next field as a PCR selection. */
export function readPcrSelection(reader: ByteReader): PcrSelection[] {
  const count = reader.u32("count of PCR selections");
  if (count > MAXIMUM_BANKS) throw reader.error(`its PCR selection has ${count} banks, more than ${MAXIMUM_BANKS}`);
  return Array.from({ length: count }, () => {
    const hash = reader.u16("hash of a PCR selection");
    const size = reader.u8("size of a PCR selection");
    if (size > MAXIMUM_SELECT_BYTES) {
      throw reader.error(`a bank of its PCR selection has ${size} octets, more than ${MAXIMUM_SELECT_BYTES}`);
    }
    const bits = reader.bytes(size, "PCR selection");
    const pcrs = Array.from({ length: size * 8 }, (_, pcr) => pcr).filter((pcr) =>
      ((bits[pcr >> 3] ?? 0) >> (pcr & 7) & 1) === 1
    );
    return { hash, pcrs };
  });
}
