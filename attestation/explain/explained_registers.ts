/**
 * The PCRs that a verifier refused: what went into each, and where that leaves a machine that is known to be good.
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

/** Where the events of a PCR leave those of the reference. */
export interface FirstDifference {
  /** How many events of this PCR are the same before it. */
  readonly same: number;
  /** The event here; none where this log ends before the reference's. */
  readonly here: ExplainedEvent | null;
  /** The event there; none where the reference's ends first. */
  readonly there: ExplainedEvent | null;
}

/** A PCR that is refused. */
export interface ExplainedRegister extends ReplayedRegister {
  /** Its number. */
  readonly pcr: number;
  /** The quoted value, hexadecimal. */
  readonly quoted: string;
  /** What the reference's log says of its own PCR; nothing without a reference. */
  readonly reference: "replays" | "differs" | "absent" | null;
  /** The first difference, where both logs replay. */
  readonly firstDifference: FirstDifference | null;
}

/** What a machine shows beside its evidence. */
export type ShownMachine = Omit<EvidenceFile, "nonce">;

/** Registers, and what is wrong with the logs. */
export interface ExplainedRegisters {
  /** The PCRs that are refused. */
  readonly registers: readonly ExplainedRegister[];
  /** What cannot be explained, of the machine and of the reference. */
  readonly problems: readonly string[];
}

const REGISTER_CHECK = /^pcr-(\d+)$/;

/**
 * Explains the PCRs among the checks that were not passed.
 *
 * @param machine The machine.
 * @param reference One that is known to be good; it is believed.
 * @param kinds The kinds of evidence that there are.
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
