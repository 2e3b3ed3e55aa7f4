/**
 * Explains refused PCRs: the events of each, and the first difference from a known good machine.
 *
 * @module
 */
import { hex } from "../../platform/bytes.ts";
import type { EvidenceCheck } from "../evidence.ts";
import type { EvidenceFile } from "../evidence_file.ts";
import type { EvidenceKind } from "../kind.ts";
import { quotedPcrs } from "./_read_evidence.ts";
import type { ExplainedEvent, ReplayedRegister } from "./replayed_log.ts";
import { replayLog } from "./replayed_log.ts";

/** The first difference between the events of a PCR and those of the reference. */
export interface FirstDifference {
  /** The number of equal events of this PCR before it. */
  readonly same: number;
  /** The event in this log; `null` if this log ends first. */
  readonly here: ExplainedEvent | null;
  /** The event in the reference's log; `null` if that log ends first. */
  readonly there: ExplainedEvent | null;
}

/** A refused PCR. */
export interface ExplainedRegister extends ReplayedRegister {
  readonly pcr: number;
  /** The quoted value, hexadecimal. */
  readonly quoted: string;
  /** Whether the reference's log replays to the reference's own PCR; `null` without a reference. */
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

const REGISTER_CHECK = /^pcr-(\d+)$/;

/**
 * Explains the PCRs among the failed checks.
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
  const quoted = await quotedPcrs(machine, kinds);
  const otherQuoted = reference === undefined ? [] : await quotedPcrs(reference, kinds);
  const log = replayLog(machine.eventLog, quoted);
  const otherLog = reference === undefined ? undefined : replayLog(reference.eventLog, otherQuoted);
  const refused = checks.filter(({ passed }) => !passed)
    .flatMap(({ check }) => REGISTER_CHECK.exec(check)?.[1] ?? []).map(Number);
  const registers: ExplainedRegister[] = [];
  for (const pcr of refused) {
    const here = await log.register(pcr);
    const there = await otherLog?.register(pcr);
    const isComparable = here.log === "replays" && there?.log === "replays";
    registers.push({
      pcr,
      quoted: hex(quoted[pcr] ?? new Uint8Array()),
      ...here,
      reference: there?.log ?? null,
      firstDifference: isComparable ? firstDifference(here.events, there.events) : null,
    });
  }
  const problems = [
    ...(log.problem === "" ? [] : [log.problem]),
    ...(otherLog === undefined || otherLog.problem === "" ? [] : [`Of the reference: ${otherLog.problem}`]),
    ...(reference === undefined || otherQuoted.length > 0 ? [] : ["The reference has no evidence of a TPM"]),
  ];
  return { registers, problems };
}

function firstDifference(here: readonly ExplainedEvent[], there: readonly ExplainedEvent[]): FirstDifference | null {
  const longest = Math.max(here.length, there.length);
  for (let same = 0; same < longest; same++) {
    if (here[same]?.digest === there[same]?.digest) continue;
    return { same, here: here[same] ?? null, there: there[same] ?? null };
  }
  return null;
}
