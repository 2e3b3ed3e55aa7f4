import type { JournalEntry } from "../e2e/journal.ts";

/** A phase of a node, as its log has it. */
export interface PhaseCell {
  /** Its name, in kebab case. */
  readonly name: string;
  /** When it began, milliseconds since 1970. */
  readonly startMs: number;
  /** How long it took, in milliseconds, once it has ended. */
  readonly durationMs?: number;
  /** Whether it ended well, once it has ended. */
  readonly succeeded?: boolean;
}

/** What the demo's table says of one node. */
export interface NodeRow {
  /** Its name. */
  readonly name: string;
  /** Its IPv4 address. */
  readonly address: string;
  /** `booting`, a state of the race, or `failed`. */
  readonly state: string;
  /** The phases that have begun; those that have ended well go when the next one begins. */
  readonly phases: readonly PhaseCell[];
  /** What happened that is worth a word, or empty. */
  readonly note: string;
  /** What the cluster says of it: `Ready`, `NotReady`, or empty where it does not know it. */
  readonly kubernetes: string;
}

/** A node that has just been switched on. */
export function bootingRow(name: string, address: string): NodeRow {
  return { name, address, state: "booting", phases: [], note: "", kubernetes: "" };
}

/** The row after one more entry of the node's journal. Entries that say nothing of the bootstrap leave it as it is. */
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
      return { ...row, note: `waits for a join service at ${text("endpoint")}` };
    default:
      return event.startsWith("join-endpoint-") ? { ...row, note: `${text("endpoint")}: ${text("code")}` } : row;
  }
}

function isRunning({ succeeded }: PhaseCell): boolean {
  return succeeded === undefined;
}

/** The fields of a line of the bootstrapper's log; other lines are of systemd, or of a crash. */
function logFields(message: string): Readonly<Record<string, unknown>> | undefined {
  if (!message.startsWith("{")) return undefined;
  try {
    return JSON.parse(message);
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}
