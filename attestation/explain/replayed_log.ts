/**
 * An event log and the quoted registers that it explains. The log explains a register only if it replays to exactly the quoted
 * value.
 *
 * @module
 */
import type { Bytes } from "../../platform/bytes.ts";
import { equalBytes, hex, sha256, utf8 } from "../../platform/bytes.ts";
import { BootstrapError } from "../../platform/errors.ts";
import { describeEvent, isVouchedFor } from "../eventlog/describe.ts";
import type { BankHash, EventLog, LogEvent, LogForm } from "../eventlog/event_log.ts";
import { CC_LOG, PCR_LOG, readEventLog } from "../eventlog/event_log.ts";
import { eventTypeName } from "../eventlog/event_types.ts";
import { extend, extendedDigest, initialValue, replay } from "../eventlog/replay.ts";

/** One event of a PCR, for people and programs. */
export interface ExplainedEvent {
  /** The event's position in the log; `null` for measurements by the operating system after the end of the log. */
  readonly number: number | null;
  /** The name of the event's type. */
  readonly type: string;
  /** The digest that the register was extended by, hexadecimal: SHA-256 of a PCR, SHA-384 of an RTMR. */
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
  /** Returns the log's explanation of a register, by its number. */
  register(index: number): Promise<ReplayedRegister>;
}

/** How the registers of a log are replayed. */
export interface Replay {
  readonly form: LogForm;
  readonly bank: BankHash;
  /** The number by which the log knows the first register. */
  readonly first: number;
  /** The reason why registers without a log cannot be explained. */
  readonly missing: string;
}

/** The logs of an evidence file. */
export const REPLAYS: Readonly<Record<"eventLog" | "ccEventLog", Replay>> = Object.freeze({
  eventLog: { form: PCR_LOG, bank: "sha256", first: 0, missing: "The file has no event log" },
  ccEventLog: { form: CC_LOG, bank: "sha384", first: 1, missing: "The file has no log of the VM's registers (CCEL)" },
});

/**
 * The register of systemd's boot phases, PCR 11. They extend it after the firmware's log has ended
 * (systemd-pcrphase.service(8), version 252: each word unchanged, in this order). An initial file system without systemd
 * measures neither of the first two; a system without one of the services leaves out its word.
 */
const PHASE_REGISTER = 11;
const PHASE_BANK = "sha256";
const BANK_NAMES: Readonly<Record<BankHash, string>> = {
  sha1: "SHA-1",
  sha256: "SHA-256",
  sha384: "SHA-384",
  sha512: "SHA-512",
};
const PHASES = ["enter-initrd", "leave-initrd", "sysinit", "ready", "shutdown", "final"] as const;

/**
 * Replays a log for quoted registers.
 *
 * @param log The log from the machine; `undefined` if the machine has none. The bytes are untrusted.
 * @param registers The quoted registers, from 0.
 * @param how Whose registers they are. Default: a TPM's SHA-256 PCRs.
 */
export function replayLog(
  log: Uint8Array | undefined,
  registers: readonly Uint8Array[],
  how: Replay = REPLAYS.eventLog,
): ReplayedLog {
  const read = readLog(log, how);
  const { bank, first } = how;
  const values = read.log === undefined ? new Map<number, Bytes>() : replay(read.log, bank);
  return {
    problem: read.problem,
    async register(index) {
      const quoted = registers[index];
      const place = index + first;
      if (read.log === undefined || quoted === undefined) return { log: "absent", replayed: "", events: [] };
      const replayed = values.get(place) ?? initialValue(read.log, place, bank);
      const events = eventsOf(read.log, place, bank);
      if (equalBytes(replayed, quoted)) return { log: "replays", replayed: hex(replayed), events };
      const phases = how.form === PCR_LOG && index === PHASE_REGISTER
        ? await phasesBetween(replayed, quoted)
        : undefined;
      return phases === undefined
        ? { log: "differs", replayed: hex(replayed), events: [] }
        : { log: "replays", replayed: hex(quoted), events: [...events, ...phases] };
    },
  };
}

function readLog(
  bytes: Uint8Array | undefined,
  { form, bank, missing }: Replay,
): { readonly log?: EventLog; readonly problem: string } {
  if (bytes === undefined) return { problem: missing };
  try {
    const log = readEventLog(bytes, form);
    if (!log.banks.includes(bank)) return { problem: `The event log has no ${BANK_NAMES[bank]} bank` };
    return { log, problem: log.behind === "" ? "" : `${log.behind[0]?.toUpperCase()}${log.behind.slice(1)}` };
  } catch (error) {
    if (error instanceof BootstrapError) return { problem: error.message };
    throw error;
  }
}

function eventsOf(log: EventLog, register: number, bank: BankHash): readonly ExplainedEvent[] {
  return log.events.filter((event) => event.pcr === register).flatMap((event) => {
    const digest = extendedDigest(event, bank);
    return digest === undefined ? [] : [explained(event, digest, bank)];
  });
}

function explained(event: LogEvent, digest: Uint8Array, bank: BankHash): ExplainedEvent {
  return {
    number: event.number,
    type: eventTypeName(event.type),
    digest: hex(digest),
    description: describeEvent(event),
    confirmed: isVouchedFor(event, bank),
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
    const value = extend(PHASE_BANK, from, digest);
    const description = `systemd's boot phase "${phase}"`;
    const event = { number: null, type: "systemd-pcrphase", digest: hex(digest), description, confirmed: true };
    if (equalBytes(value, to)) return [event];
    const more = await phasesBetween(value, to, phases.slice(index + 1));
    if (more !== undefined) return [event, ...more];
  }
  return undefined;
}
