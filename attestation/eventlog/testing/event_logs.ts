/**
 * Helpers for tests of event logs: logs of real machines, and a writer of logs.
 *
 * @module
 */
import { createHash } from "node:crypto";
import { oraclesIn, type OracleTest } from "../../testing/evidence.ts";
import type { Bytes } from "../../../platform/bytes.ts";
import { concat, utf8 } from "../../../platform/bytes.ts";
import { EVENT_TYPE } from "../event_types.ts";

/** The logs of real machines. */
export const ORACLE_LOGS = [
  "cos-101-amd-sev.bin",
  "debian-10.bin",
  "rhel8-uefi.bin",
  "ubuntu-2104-no-secure-boot.bin",
  "ubuntu-2404-amd-sevsnp.bin",
] as const;

/** Registers a test over logs of real machines. */
export const logOracleTest: OracleTest = oraclesIn("eventlog");

/** An event to write. */
export interface WrittenEvent {
  readonly pcr: number;
  readonly type: number;
  /** The event's data in the log. */
  readonly data: Uint8Array;
  /** The measured bytes. Default: the data. */
  readonly measured?: Uint8Array;
}

/** The TPM_ALG_ID, the name and the digest length of the written banks. */
const BANKS: readonly WrittenBank[] = [[0x0004, "sha1", 20], [0x000b, "sha256", 32]];
/** The bank of a confidential VM's log. */
export const CC_BANKS: readonly WrittenBank[] = [[0x000c, "sha384", 48]];
type WrittenBank = readonly [id: number, hash: string, length: number];

/** Encodes `value` in `octets`, least significant first. */
export function le(value: number | bigint, octets: number): Bytes {
  return Uint8Array.from({ length: octets }, (_, i) => Number(BigInt(value) >> BigInt(8 * i) & 0xffn));
}

/** Encodes text as UTF-16, least significant octet first. */
export function utf16(text: string): Bytes {
  return concat(...Array.from({ length: text.length }, (_, i) => le(text.charCodeAt(i), 2)));
}

/** Writes a TCG_EfiSpecIDEventStruct in a TCG_PCR_EVENT. */
export function writeHeader(banks: readonly (readonly [number, number])[] = BANKS.map(([id, , n]) => [id, n])): Bytes {
  const specId = concat(
    utf8("Spec ID Event03\0"),
    ...[le(0, 4), le(0x02000200, 4), le(banks.length, 4)],
    ...banks.flatMap(([id, length]) => [le(id, 2), le(length, 2)]),
    le(0, 1),
  );
  return concat(le(0, 4), le(EVENT_TYPE.noAction, 4), new Uint8Array(20), le(specId.length, 4), specId);
}

/** Writes a TCG_PCR_EVENT2, unless told otherwise with digests for SHA-1 and SHA-256. */
export function writeEvent({ pcr, type, data, measured = data }: WrittenEvent, banks = BANKS): Bytes {
  const isExtended = type !== EVENT_TYPE.noAction;
  const digests = banks.flatMap(([id, hash, length]) => [
    le(id, 2),
    isExtended ? new Uint8Array(createHash(hash).update(measured).digest()) : new Uint8Array(length),
  ]);
  return concat(le(pcr, 4), le(type, 4), le(banks.length, 4), ...digests, le(data.length, 4), data);
}

/** Writes a log of these events. */
export function writeLog(events: readonly WrittenEvent[], banks = BANKS): Bytes {
  const header = writeHeader(banks.map(([id, , length]) => [id, length]));
  return concat(header, ...events.map((event) => writeEvent(event, banks)));
}
