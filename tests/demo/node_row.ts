import type { JournalEntry } from "../e2e/journal.ts";
import { foundingClause, logFields } from "./founding_events.ts";

/** A phase of a node, as the node's log reports it. */
export interface PhaseCell {
  /** The phase's name, in kebab case. */
  readonly name: string;
  /** When the phase began, in milliseconds since 1970. */
  readonly startMs: number;
  /** How long the phase took, in milliseconds; undefined while it runs. */
  readonly durationMs?: number;
  /** Whether the phase succeeded; undefined while it runs. */
  readonly succeeded?: boolean;
}

/** A row of the demo's table: what is known about one node. */
export interface NodeRow {
  readonly name: string;
  readonly address: string;
  /** `booting`, a state of the race, or `failed`. */
  readonly state: string;
  /** The phases that have begun. Phases that succeeded are removed when the next one begins. */
  readonly phases: readonly PhaseCell[];
  /** The latest remarkable event, or empty. */
  readonly note: string;
  /** The Node's condition in the cluster: `Ready`, `NotReady`, or empty while the cluster does not know the node. */
  readonly kubernetes: string;
}

/** The row of a node that has just been switched on. */
export function bootingRow(name: string, address: string): NodeRow {
  return { name, address, state: "booting", phases: [], note: "", kubernetes: "" };
}

/**
 * Returns the row after one more entry of the node's journal. Entries that do not concern the bootstrap leave it
 * unchanged.
 */
export function nodeRow(row: NodeRow, entry: JournalEntry): NodeRow {
  const fields = entry.unit.startsWith("bootstrapper") ? logFields(entry.message) : undefined;
  return fields === undefined ? row : withEvent(row, fields, entry.time.getTime());
}

function withEvent(row: NodeRow, fields: Readonly<Record<string, unknown>>, timeMs: number): NodeRow {
  const text = (key: string) => typeof fields[key] === "string" ? fields[key] : "";
  const event = text("event");
  switch (event) {
    case "phase-started": {
      const begun: PhaseCell = { name: text("phase"), startMs: timeMs };
      const state = begun.name === "detect" ? "detecting" : row.state;
      return { ...row, state, phases: [...row.phases.filter(isRunning), begun], note: "" };
    }
    case "phase-ended": {
      // A phase that was stopped has not failed: a founder's search for a ticket, for one, stops and begins again.
      if (text("code").startsWith("aborted/")) {
        return { ...row, phases: row.phases.filter(({ name }) => name !== text("phase")) };
      }
      const [name, succeeded, durationMs] = [text("phase"), text("outcome") === "succeeded", Number(fields.durationMs)];
      const end = (phase: PhaseCell): PhaseCell =>
        phase.name === name && isRunning(phase) ? { ...phase, succeeded, durationMs } : phase;
      return { ...row, phases: row.phases.map(end), note: succeeded ? row.note : text("code") };
    }
    case "race":
      return { ...row, state: text("state") };
    case "member":
      return { ...row, state: "member", note: "" };
    case "run-failed":
      return { ...row, state: "failed", note: `${text("code")}: ${text("message")}` };
    case "join-service-started":
      return { ...row, note: "the join service is up" };
    case "join-ticket-issued":
      return { ...row, note: `a ticket was issued to ${text("node")}` };
    case "join-refused":
      return { ...row, note: `refused ${text("node") || text("peer")}: ${text("code")}` };
    case "join-endpoint-unreachable":
      return { ...row, note: `waiting for a join service at ${text("endpoint")}` };
    case "founders":
      return { ...row, note: text("message") };
    default:
      if (event.startsWith("join-endpoint-")) return { ...row, note: `${text("endpoint")}: ${text("code")}` };
      return { ...row, note: foundingClause(fields) ?? row.note };
  }
}

function isRunning({ succeeded }: PhaseCell): boolean {
  return succeeded === undefined;
}
