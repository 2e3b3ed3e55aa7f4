/**
 * The replay of a log: the values of the PCRs of a bank after all events.
 *
 * @module
 */
import { createHash } from "node:crypto";
import type { Bytes } from "../../platform/bytes.ts";
import { equalBytes, utf8 } from "../../platform/bytes.ts";
import type { BankHash, EventLog, LogEvent } from "./event_log.ts";
import { EVENT_TYPE } from "./event_types.ts";

const DIGEST_BYTES: Readonly<Record<BankHash, number>> = { sha1: 20, sha256: 32, sha384: 48, sha512: 64 };
/** TCG_EfiStartupLocalityEvent (Platform Firmware Profile 1.05, 10.4.5.3): the signature, then the locality in one octet. */
const STARTUP_LOCALITY: Bytes = utf8("StartupLocality\0");
/** The firmware sends TPM2_Startup from locality 0 or 3. Locality 4 means a measurement before it (H-CRTM). */
const STARTUP_LOCALITIES: readonly number[] = [0, 3, 4];
/** The locality of a processor that measures before the firmware starts (TPM 2.0 Part 1, H-CRTM). */
const HARDWARE_LOCALITY = 4;

/**
 * Replays a log.
 *
 * @param log The log.
 * @param bank The bank.
 * @returns The values of the extended PCRs, by their numbers. Every other PCR still has its initial value: all ones for
 *   PCRs that only a dynamic launch resets, zero for the rest.
 */
export function replay(log: EventLog, bank: BankHash): ReadonlyMap<number, Bytes> {
  const values = new Map<number, Bytes>();
  for (const event of log.events) {
    const digest = extendedDigest(event, bank);
    if (digest === undefined) continue;
    values.set(event.pcr, extend(bank, values.get(event.pcr) ?? initialValue(log, event.pcr, bank), digest));
  }
  return values;
}

/** Returns the digest that an event extends its PCR by; `undefined` for an event that only informs. */
export function extendedDigest(event: LogEvent, bank: BankHash): Bytes | undefined {
  return event.type === EVENT_TYPE.noAction ? undefined : event.digests.get(bank);
}

/** Returns `H(value ‖ digest)`. */
export function extend(bank: BankHash, value: Uint8Array, digest: Uint8Array): Bytes {
  return new Uint8Array(createHash(bank).update(value).update(digest).digest());
}

/**
 * Returns the initial value: zero, except that the last octet of PCR 0 is the TPM's startup locality (TPM 2.0 Part 1,
 * "Initializing PCR").
 */
export function initialValue(log: EventLog, pcr: number, bank: BankHash): Bytes {
  const value = new Uint8Array(DIGEST_BYTES[bank]);
  if (pcr === 0) value[value.length - 1] = startupLocality(log);
  return value;
}

/** Whether the processor measured before the firmware started: then the first event of PCR 0 says so (1.05, 10.4.1). */
function isHardwareStarted({ events }: EventLog): boolean {
  return events.find(({ pcr, type }) => pcr === 0 && type !== EVENT_TYPE.noAction)?.type === EVENT_TYPE.hcrtm;
}

function startupLocality(log: EventLog): number {
  const event = log.events.find(({ type, data }) =>
    type === EVENT_TYPE.noAction && data.length === STARTUP_LOCALITY.length + 1 &&
    equalBytes(data.subarray(0, STARTUP_LOCALITY.length), STARTUP_LOCALITY)
  );
  if (event === undefined) return isHardwareStarted(log) ? HARDWARE_LOCALITY : 0;
  const locality = event.data.at(-1) ?? 0;
  return STARTUP_LOCALITIES.includes(locality) ? locality : 0;
}
