/**
 * Explains refused registers: the events of each, and the first difference from a known good machine.
 *
 * @module
 */
import { hex } from "../../platform/bytes.ts";
import type { EvidenceCheck } from "../evidence.ts";
import type { EvidenceFile } from "../evidence_file.ts";
import type { EvidenceKind, LoggedRegisters } from "../kind.ts";
import { shownRegisters } from "./_read_evidence.ts";
import type { ExplainedEvent, ReplayedLog, ReplayedRegister } from "./replayed_log.ts";
import { replayLog, REPLAYS } from "./replayed_log.ts";

/** The first difference between the events of a register and those of the reference. */
export interface FirstDifference {
  /** The number of equal events of this PCR before it. */
  readonly same: number;
  /** The event in this log; `null` if this log ends first. */
  readonly here: ExplainedEvent | null;
  /** The event in the reference's log; `null` if that log ends first. */
  readonly there: ExplainedEvent | null;
}

/** A refused register. */
export interface ExplainedRegister extends ReplayedRegister {
  /** What people call it: `PCR 4`, `RTMR 1`. */
  readonly name: string;
  /** The number of a PCR; `null` for another register. */
  readonly pcr: number | null;
  /** The quoted value, hexadecimal. */
  readonly quoted: string;
  /** Whether the reference's log replays to the reference's own register; `null` without a reference. */
  readonly reference: "replays" | "differs" | "absent" | null;
  /** The first difference, if both logs replay. */
  readonly firstDifference: FirstDifference | null;
}

/** The evidence of a machine and its event log. */
export type ShownMachine = Omit<EvidenceFile, "nonce">;

/** The refused registers, and the problems with the logs. */
export interface ExplainedRegisters {
  /** The refused PCRs. */
  readonly registers: readonly ExplainedRegister[];
  /** The reasons why registers of the machine or of the reference cannot be explained. */
  readonly problems: readonly string[];
}

/**
 * Explains the registers among the failed checks.
 *
 * @param machine The machine.
 * @param reference A known good machine. It is trusted without verification.
 * @param kinds All kinds of evidence.
 */
export async function explainRegisters(
  machine: ShownMachine,
  reference: ShownMachine | undefined,
  checks: readonly EvidenceCheck[],
  kinds: readonly EvidenceKind[],
): Promise<ExplainedRegisters> {
  const failed = checks.filter(({ passed }) => !passed).map(({ check }) => check);
  const others = reference === undefined ? [] : await shownRegisters(reference, kinds);
  const found: { readonly place: number; readonly register: ExplainedRegister }[] = [];
  const problems: string[] = [];
  for (const { logged, values } of await shownRegisters(machine, kinds)) {
    const log = replayLog(machine[logged.log], values, REPLAYS[logged.log]);
    const other = others.find((one) => one.logged.name === logged.name);
    const otherLog = reference === undefined
      ? undefined
      : replayLog(reference[logged.log], other?.values ?? [], REPLAYS[logged.log]);
    for (const index of values.keys()) {
      const place = failed.indexOf(logged.checkOf(index));
      if (place === -1) continue;
      const register = await explainRegister({ logged, index, quoted: values[index] }, log, otherLog);
      found.push({ place, register });
    }
    if (log.problem !== "") problems.push(log.problem);
    if (otherLog !== undefined && otherLog.problem !== "") problems.push(`Of the reference: ${otherLog.problem}`);
    if (reference !== undefined && (other?.values ?? []).length === 0) {
      problems.push(`The reference has no evidence with ${logged.name}s`);
    }
  }
  // In the order of the checks.
  return { registers: found.toSorted((a, b) => a.place - b.place).map(({ register }) => register), problems };
}

interface QuotedRegister {
  readonly logged: LoggedRegisters;
  readonly index: number;
  readonly quoted: Uint8Array | undefined;
}

async function explainRegister(
  { logged, index, quoted = new Uint8Array() }: QuotedRegister,
  log: ReplayedLog,
  otherLog: ReplayedLog | undefined,
): Promise<ExplainedRegister> {
  const here = await log.register(index);
  const there = await otherLog?.register(index);
  const isComparable = here.log === "replays" && there?.log === "replays";
  return {
    name: `${logged.name} ${index}`,
    pcr: logged.log === "eventLog" ? index : null,
    quoted: hex(quoted),
    ...here,
    reference: there?.log ?? null,
    firstDifference: isComparable ? firstDifference(here.events, there.events) : null,
  };
}

function firstDifference(here: readonly ExplainedEvent[], there: readonly ExplainedEvent[]): FirstDifference | null {
  const longest = Math.max(here.length, there.length);
  for (let same = 0; same < longest; same++) {
    if (here[same]?.digest === there[same]?.digest) continue;
    return { same, here: here[same] ?? null, there: there[same] ?? null };
  }
  return null;
}
