/**
 * An event log and the quoted PCRs that it explains. The log explains a PCR only if it replays to exactly the quoted
 * value.
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
  /** The event's position in the log; `null` for measurements by the operating system after the end of the log. */
  readonly number: number | null;
  /** The name of the event's type. */
  readonly type: string;
  /** The digest that the PCR was extended by, SHA-256, hexadecimal. */
  readonly digest: string;
  /** The log's description of the event. */
  readonly description: string;
  /** Whether the digest confirms the description. */
  readonly confirmed: boolean;
}

/** A log's explanation of one PCR. */
export interface ReplayedRegister {
  /** Whether the log replays to the quoted value; `absent` if there is no readable log. */
  readonly log: "replays" | "differs" | "absent";
  /** The value to which the log replays, hexadecimal; empty if there is no log. */
  readonly replayed: string;
  /** The events of the PCR, in order; empty unless the log replays. */
  readonly events: readonly ExplainedEvent[];
}

/** A log and the quoted PCRs. */
export interface ReplayedLog {
  /** What is wrong with the log, or why there is none; empty if nothing is. Events before it may still explain a PCR. */
  readonly problem: string;
  /** Returns the log's explanation of a PCR. */
  register(pcr: number): Promise<ReplayedRegister>;
}

const BANK = "sha256";
/**
 * The register of systemd's boot phases, PCR 11. They extend it after the firmware's log has ended
 * (systemd-pcrphase.service(8), version 252: each word unchanged, in this order). An initial file system without systemd
 * measures neither of the first two; a system without one of the services leaves out its word.
 */
const PHASE_REGISTER = 11;
const PHASES = ["enter-initrd", "leave-initrd", "sysinit", "ready", "shutdown", "final"] as const;

/**
 * Replays a log for quoted PCRs.
 *
 * @param log The log from the machine; `undefined` if the machine has none. The bytes are untrusted.
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
    if (!log.banks.includes(BANK)) return { problem: "The event log has no SHA-256 bank" };
    return { log, problem: log.behind === "" ? "" : `${log.behind[0]?.toUpperCase()}${log.behind.slice(1)}` };
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

/** Returns the phases that lead from one value to another, or `undefined` if none do. Each comes at most once, in order. */
async function phasesBetween(
  from: Bytes,
  to: Uint8Array,
  phases: readonly string[] = PHASES,
): Promise<readonly ExplainedEvent[] | undefined> {
  for (const [index, phase] of phases.entries()) {
    const digest = await sha256(utf8(phase));
    const value = extend(BANK, from, digest);
    const description = `systemd's boot phase "${phase}"`;
    const event = { number: null, type: "systemd-pcrphase", digest: hex(digest), description, confirmed: true };
    if (equalBytes(value, to)) return [event];
    const more = await phasesBetween(value, to, phases.slice(index + 1));
    if (more !== undefined) return [event, ...more];
  }
  return undefined;
}
