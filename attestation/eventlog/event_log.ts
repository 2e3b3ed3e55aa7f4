/**
 * The log of the measurements that firmware and boot loaders made into the TPM
 * (`/sys/kernel/security/tpm0/binary_bios_measurements`).
 *
 * The log is not signed. It only explains quoted PCR values, and only if it replays to exactly those values. It never
 * affects a verdict.
 *
 * @module
 */
import type { ByteReader } from "../../platform/byte_reader.ts";
import type { Bytes } from "../../platform/bytes.ts";
import { BootstrapError } from "../../platform/errors.ts";
import { logError, logReader } from "./_format.ts";
import { EVENT_TYPE } from "./event_types.ts";

/** The hashes of PCR banks that are replayed. */
export const BANK_HASHES = ["sha1", "sha256", "sha384", "sha512"] as const;

/** The hash of a PCR bank. */
export type BankHash = typeof BANK_HASHES[number];

/** One measurement. */
export interface LogEvent {
  /** The event's position in the log, from 0. */
  readonly number: number;
  /** The PCR that was extended, 0 to 23, or the register of a confidential VM, 0 to 4. It has no meaning for EV_NO_ACTION, which extends none. */
  readonly pcr: number;
  /** The type of the event: one of {@linkcode EVENT_TYPE}, or another number. */
  readonly type: number;
  /** The digest that the PCR of each bank was extended by. */
  readonly digests: ReadonlyMap<BankHash, Bytes>;
  /** The log's data on the event. For some types the digest is over these bytes; for others nothing confirms them. */
  readonly data: Bytes;
}

/** A well-formed log. */
export interface EventLog {
  /** The banks that the log's header lists; only SHA-1 for a log of the old form. */
  readonly banks: readonly BankHash[];
  /** All measurements in order, without the header. */
  readonly events: readonly LogEvent[];
  /** What follows the last event and is none, as a clause; empty if nothing does. */
  readonly behind: string;
}

/** Whose registers a log is of. */
export interface LogForm {
  /** The highest register that an event may extend. */
  readonly highestRegister: number;
}

/** The log of a TPM's PCRs, of which there are 24 (PC Client Platform TPM Profile). */
export const PCR_LOG: LogForm = Object.freeze({ highestRegister: 23 });
/**
 * The log of a confidential VM's measurement registers (CCEL). Register 0 is the launch measurement, and register N is
 * runtime register N - 1 (UEFI 2.10, 38.4.1).
 */
export const CC_LOG: LogForm = Object.freeze({ highestRegister: 4 });

/** The largest accepted log, in bytes. EDK II reserves 64 KiB or less; servers with many devices have some MiB. */
export const MAXIMUM_LOG_BYTES: number = 8 << 20;

/** TCG PC Client Platform Firmware Profile 1.05, 10.4.5.1. */
const SPEC_ID_03 = "Spec ID Event03\0";
const SPEC_ID_BYTES = 16;
const SHA1_BYTES = 20;
/** The TPM_ALG_IDs of the hashes that a bank may have, and their lengths in bytes. */
const ALGORITHMS: Readonly<Record<number, { readonly hash: BankHash; readonly bytes: number }>> = Object.freeze({
  0x0004: { hash: "sha1", bytes: SHA1_BYTES },
  0x000b: { hash: "sha256", bytes: 32 },
  0x000c: { hash: "sha384", bytes: 48 },
  0x000d: { hash: "sha512", bytes: 64 },
});
/** HASH_COUNT is at most 16 in every implementation. */
const MAXIMUM_BANKS = 16;
/** No hash that a TPM may have is longer. */
const MAXIMUM_DIGEST_BYTES = 128;
/** Some firmware writes this number instead of a PCR in EV_NO_ACTION events. */
const NO_PCR = 0xffffffff;

/**
 * Reads a log in the crypto-agile form (a TCG_PCR_EVENT with the Spec ID Event03, then TCG_PCR_EVENT2), or in the old
 * form (TCG_PCR_EVENT with SHA-1 only). It reads up to the first event that is none: the events before may still explain
 * registers, and a register whose events are missing does not replay. Banks of unknown hashes are skipped; the header
 * says how long their digests are.
 *
 * @param form Whose registers the log is of. Default: a TPM's.
 * @throws {BootstrapError} `malformed/event-log` if the log has no first event, or its header lacks a bank or has one
 *   twice, or it is larger than {@linkcode MAXIMUM_LOG_BYTES}.
 */
export function readEventLog(bytes: Uint8Array, form: LogForm = PCR_LOG): EventLog {
  if (bytes.length > MAXIMUM_LOG_BYTES) throw logError("event log", `it is larger than ${MAXIMUM_LOG_BYTES} bytes`);
  const reader = logReader(bytes, "event log");
  const first = readOldEvent(reader, 0, form);
  const isAgile = first.type === EVENT_TYPE.noAction &&
    latin1(first.data.subarray(0, SPEC_ID_BYTES)) === SPEC_ID_03;
  return isAgile ? readAgileLog(first, reader, form) : readOldLog(first, reader, form);
}

function readOldLog(first: LogEvent, reader: ByteReader, form: LogForm): EventLog {
  return { banks: ["sha1"], ...readEvents(reader, [first], (from, number) => readOldEvent(from, number, form)) };
}

/** The header extends nothing, so its register and its digest do not matter. */
function readAgileLog(header: LogEvent, reader: ByteReader, form: LogForm): EventLog {
  const lengths = readSpecId(header.data);
  const banks = BANK_HASHES.filter((hash) => [...lengths.keys()].some((id) => ALGORITHMS[id]?.hash === hash));
  return { banks, ...readEvents(reader, [], (from, number) => readAgileEvent(from, number, lengths, form)) };
}

/** Reads events up to the end, to padding, or to bytes that are no event. */
function readEvents(
  reader: ByteReader,
  first: readonly LogEvent[],
  read: (reader: ByteReader, number: number) => LogEvent,
): Pick<EventLog, "events" | "behind"> {
  const events = [...first];
  const end = reader.offset + withoutPadding(reader.at(reader.offset).rest("events"));
  while (reader.remaining > 0) {
    const { offset, remaining } = reader;
    const isPadding = offset >= end;
    const where = `the ${remaining} bytes behind the ${events.length} events of the event log are no event`;
    if (isPadding) return { events, behind: where };
    try {
      events.push(read(reader, events.length));
    } catch (error) {
      if (!(error instanceof BootstrapError)) throw error;
      return { events, behind: `${where}: ${error.message}` };
    }
  }
  return { events, behind: "" };
}

/** The number of bytes in front of zeros, or of FF, that fill the rest. An event may itself end in such bytes. */
function withoutPadding(bytes: Uint8Array): number {
  const last = bytes.at(-1);
  return last === 0 || last === 0xff ? bytes.findLastIndex((octet) => octet !== last) + 1 : bytes.length;
}

/**
 * TCG_EfiSpecIDEventStruct: the TPM_ALG_IDs of the banks, and the lengths of their digests. What follows is the
 * vendor's.
 */
function readSpecId(data: Uint8Array): ReadonlyMap<number, number> {
  const reader = logReader(data, "event log's header");
  reader.skip(SPEC_ID_BYTES, "signature");
  reader.skip(4, "platformClass");
  reader.skip(4, "specVersionMinor, specVersionMajor, specErrata, uintnSize");
  const count = reader.u32("numberOfAlgorithms");
  if (count === 0 || count > MAXIMUM_BANKS) throw reader.error(`it has ${count} banks`);
  const lengths = new Map<number, number>();
  for (let i = 0; i < count; i++) {
    const id = reader.u16("algorithmId");
    const length = reader.u16("digestSize");
    if (lengths.has(id)) throw reader.error(`the bank ${algorithmText(id)} is there twice`);
    if (length !== (ALGORITHMS[id]?.bytes ?? length) || length > MAXIMUM_DIGEST_BYTES) {
      throw reader.error(`it has a bank ${algorithmText(id)} with digests of ${length} bytes`);
    }
    lengths.set(id, length);
  }
  return lengths;
}

/** TCG_PCR_EVENT (1.05, 10.2.1). */
function readOldEvent(reader: ByteReader, number: number, form: LogForm): LogEvent {
  const pcr = reader.u32(`PCR of event ${number}`);
  const type = reader.u32(`type of event ${number}`);
  checkRegister(pcr, type, number, form);
  const digests = new Map<BankHash, Bytes>([["sha1", reader.bytes(SHA1_BYTES, `digest of event ${number}`)]]);
  return { number, pcr, type, digests, data: readData(reader, number) };
}

/** TCG_PCR_EVENT2 (1.05, 10.2.2): exactly one digest for each bank. */
function readAgileEvent(
  reader: ByteReader,
  number: number,
  lengths: ReadonlyMap<number, number>,
  form: LogForm,
): LogEvent {
  const pcr = reader.u32(`PCR of event ${number}`);
  const type = reader.u32(`type of event ${number}`);
  checkRegister(pcr, type, number, form);
  const count = reader.u32(`digests of event ${number}`);
  if (count !== lengths.size) {
    throw logError(`event ${number}`, `it has ${count} digests where the log has ${lengths.size} banks`);
  }
  const seen = new Set<number>();
  const digests = new Map<BankHash, Bytes>();
  for (let i = 0; i < count; i++) {
    const id = reader.u16(`bank of event ${number}`);
    const length = lengths.get(id);
    if (length === undefined || seen.has(id)) {
      throw logError(
        `event ${number}`,
        `its digest for the bank ${algorithmText(id)} is not one of the log's, or a second one`,
      );
    }
    seen.add(id);
    const digest = reader.bytes(length, `digest of event ${number}`);
    const hash = ALGORITHMS[id]?.hash;
    if (hash !== undefined) digests.set(hash, digest);
  }
  return { number, pcr, type, digests, data: readData(reader, number) };
}

function readData(reader: ByteReader, number: number): Bytes {
  return reader.bytes(reader.u32(`size of event ${number}`), `data of event ${number}`);
}

function checkRegister(pcr: number, type: number, number: number, { highestRegister }: LogForm): void {
  if (pcr <= highestRegister || (pcr === NO_PCR && type === EVENT_TYPE.noAction)) return;
  throw logError(`event ${number}`, `it is of register ${pcr}, and there are 0 to ${highestRegister}`);
}

function algorithmText(id: number): string {
  return ALGORITHMS[id]?.hash ?? `0x${id.toString(16).padStart(4, "0")}`;
}

function latin1(bytes: Uint8Array): string {
  return String.fromCharCode(...bytes);
}
