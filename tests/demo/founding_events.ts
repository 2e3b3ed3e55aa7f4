/** What a founder says in its log, as clauses for people. */
import type { JournalEntry } from "../e2e/journal.ts";

type Fields = Readonly<Record<string, unknown>>;

/** The clauses, by event. The subject of each is the founder that logs it. */
const clauses: Readonly<Record<string, (fields: Fields) => string>> = {
  "founder-met": ({ name }) => `has met ${text(name)}`,
  "founding-pledged": ({ founders }) => `pledges to found with ${names(founders)}`,
  "founding-pledge-heard": ({ founder }) => `has heard the pledge of ${text(founder)}`,
  "founding-roster-fixed": () => "has all pledges: the roster is fixed",
  "founding-etcd-starting": () => "starts the founders' etcd",
  "founding-decision": decisionClause,
  "founding-lock": ({ owner }) => `has locked itself by ${text(owner)}`,
  "join-ticket-issued": ({ node }) => `has issued a ticket to ${text(node)}`,
  "founding-superseded": ({ reason }) => `is superseded: ${text(reason)}`,
  "founding-ended": ({ kind }) => kind === "left" ? "has left the founding" : `ends its part: ${text(kind)}`,
  "member": () => "is a member",
};

/** The clause for a line of a node's log, or `undefined` where the line is not about the founding. */
export function foundingClause(fields: Fields): string | undefined {
  const event = text(fields["event"]);
  return Object.hasOwn(clauses, event) ? clauses[event]?.(fields) : undefined;
}

/** An event of a founding. */
export interface FoundingEvent {
  readonly timeMs: number;
  readonly node: string;
  readonly clause: string;
}

/** The events of a founding in a node's journal, in its order. Each clause is there once, when it was true first. */
export function foundingEvents(node: string, entries: readonly JournalEntry[]): FoundingEvent[] {
  const seen = new Set<string>();
  return entries.filter(({ unit }) => unit.startsWith("bootstrapper")).flatMap(({ time, message }) => {
    const clause = foundingClause(logFields(message) ?? {});
    if (clause === undefined || seen.has(clause)) return [];
    seen.add(clause);
    return [{ timeMs: time.getTime(), node, clause }];
  });
}

const secondsWidth = 7;

/**
 * Returns a timeline of a founding as text, a line an event.
 *
 * @param events those of all nodes, in any order
 * @param startMs when the first machine was switched on, milliseconds since 1970
 */
export function foundingTimeline(events: readonly FoundingEvent[], startMs: number): string {
  const width = Math.max(0, ...events.map(({ node }) => node.length));
  const lines = events.toSorted((a, b) => a.timeMs - b.timeMs).map(({ timeMs, node, clause }) => {
    const seconds = ((timeMs - startMs) / 1000).toFixed(1).padStart(secondsWidth);
    return `${seconds} s  ${node.padEnd(width)}  ${clause}\n`;
  });
  return `\nThe founding, in seconds since the first machine was switched on\n${lines.join("")}`;
}

/** The fields of a line of the bootstrapper's log. Other lines come from systemd, or from a crash. */
export function logFields(message: string): Fields | undefined {
  if (!message.startsWith("{")) return undefined;
  try {
    return JSON.parse(message);
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

function decisionClause({ epoch, founder, resigned, complete }: Fields): string {
  if (complete !== undefined) return `knows that ${text(founder)} has founded the cluster`;
  if (resigned !== undefined) return `knows that ${text(founder)} has resigned: ${text(resigned)}`;
  return `knows the decision: ${text(founder)} founds the cluster (epoch ${String(epoch)})`;
}

/** Text from a node must not control the terminal. */
function text(value: unknown): string {
  return typeof value === "string" ? value.replaceAll(/\p{Cc}+/gu, " ") : "";
}

function names(value: unknown): string {
  return Array.isArray(value) ? value.map(text).join(", ") : "";
}
