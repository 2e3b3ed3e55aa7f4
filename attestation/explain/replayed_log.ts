/**
 * An event log beside the quoted PCRs that it should explain: it is used for a PCR only where it replays to exactly the
 * quoted value.
 *
 * @module
 */
import type { Bytes } from "../../platform/bytes.ts";
import { equalBytes, hex, sha256, utf8 } from "../../platform/bytes.ts";
import { BootstrapError } from "../../platform/errors.ts";
import { describeEvent, isVouchedFor } from "../eventlog/describe.ts";
import type { EventLog, LogEvent } from "../eventlog/event_log.ts";
import { readEventLog } from "../eventlog/event_log.ts";
import { eventTypeName } from "../eventlog/event_types.ts";
import { extend, extendedDigest, initialValue, replay } from "../eventlog/replay.ts";

/** One event of a PCR, for people and programs. */
export interface ExplainedEvent {
  /** Its place in the log; none for what the operating system measured after the log ended. */
  readonly number: number | null;
  /** The name of its type. */
  readonly type: string;
  /** What the PCR was extended by, SHA-256, hexadecimal. */
  readonly digest: string;
  /** What the log says that it is. */
  readonly description: string;
  /** Whether the digest confirms the description. */
  readonly confirmed: boolean;
}

/** What a log says of one PCR. */
export interface ReplayedRegister {
  /** Whether it replays to the quoted value; `absent` where there is no log, or none that can be read. */
  readonly log: "replays" | "differs" | "absent";
  /** What the log replays to, hexadecimal; empty where there is no log. */
  readonly replayed: string;
  /** The events that went into it, in order; empty unless the log replays. */
  readonly events: readonly ExplainedEvent[];
}

/** A log beside quoted PCRs. */
export interface ReplayedLog {
  /** Why the log cannot be used at all; empty where it can. */
  readonly problem: string;
  /** What it says of a PCR. */
  register(pcr: number): Promise<ReplayedRegister>;
}

const BANK = "sha256";
/**
 * What systemd's boot phases measure into PCR 11 when the firmware's log has ended (systemd-pcrphase.service(8), version 252:
 * each word as it is, in this order).
 */
const PHASE_REGISTER = 11;
const PHASES = ["enter-initrd", "leave-initrd", "sysinit", "ready", "shutdown", "final"] as const;

/**
 * Replays a log for quoted PCRs.
 *
 * @param log The log as it was read from the machine; none if the machine has none. It may be anything.
 * @param pcrs The quoted SHA-256 PCRs, from 0.
 */
export function replayLog(log: Uint8Array | undefined, pcrs: readonly Uint8Array[]): ReplayedLog {
  const read = readLog(log);
  const values = read.log === undefined ? new Map<number, Bytes>() : replay(read.log, BANK);
  return {
    problem: read.problem,
    async register(pcr) {
      const quoted = pcrs[pcr];
      if (read.log === undefined || quoted === undefined) return { log: "absent", replayed: "", events: [] };
      const replayed = values.get(pcr) ?? initialValue(read.log, pcr, BANK);
      const events = eventsOf(read.log, pcr);
      if (equalBytes(replayed, quoted)) return { log: "replays", replayed: hex(replayed), events };
      const phases = pcr === PHASE_REGISTER ? await phasesBetween(replayed, quoted) : undefined;
      return phases === undefined
        ? { log: "differs", replayed: hex(replayed), events: [] }
        : { log: "replays", replayed: hex(quoted), events: [...events, ...phases] };
    },
  };
}

function readLog(bytes: Uint8Array | undefined): { readonly log?: EventLog; readonly problem: string } {
  if (bytes === undefined) return { problem: "The file has no event log" };
  try {
    const log = readEventLog(bytes);
    return log.banks.includes(BANK) ? { log, problem: "" } : { problem: "The event log has no SHA-256 bank" };
  } catch (error) {
    if (error instanceof BootstrapError) return { problem: error.message };
    throw error;
  }
}

function eventsOf(log: EventLog, pcr: number): readonly ExplainedEvent[] {
  return log.events.filter((event) => event.pcr === pcr).flatMap((event) => {
    const digest = extendedDigest(event, BANK);
    return digest === undefined ? [] : [explained(event, digest)];
  });
}

function explained(event: LogEvent, digest: Uint8Array): ExplainedEvent {
  return {
    number: event.number,
    type: eventTypeName(event.type),
    digest: hex(digest),
    description: describeEvent(event),
    confirmed: isVouchedFor(event),
  };
}

/** The phases that lead from one value to another, if any do. */
async function phasesBetween(from: Bytes, to: Uint8Array): Promise<readonly ExplainedEvent[] | undefined> {
  let value = from;
  const events: ExplainedEvent[] = [];
  for (const phase of PHASES) {
    const digest = await sha256(utf8(phase));
    value = extend(BANK, value, digest);
    const description = `systemd's boot phase "${phase}"`;
    events.push({ number: null, type: "systemd-pcrphase", digest: hex(digest), description, confirmed: true });
    if (equalBytes(value, to)) return events;
  }
  return undefined;
}
