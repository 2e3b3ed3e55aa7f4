/**
 * What a founder shows of the founding in its status.
 *
 * @module
 */
import type { Waiting } from "../founding/ceremony_parts.ts";
import type { MeetingState } from "../founding/meeting.ts";
import { sentenceOf } from "../platform/errors.ts";
import type { RosterEntry } from "../protocol/transcript.ts";
import type { FoundingStatus } from "./status.ts";

/** A configuration names at most so many peers. */
const MOST_SHOWN = 64;

/**
 * Returns what the status shows.
 *
 * @param own This machine's entry.
 * @param hindrances What keeps this machine itself from founding.
 */
export function foundingStatus(
  { view, dials, refusedHellos }: MeetingState,
  waiting: Waiting | undefined,
  own: RosterEntry,
  hindrances: readonly string[],
): FoundingStatus {
  const isDiffering = (name: string) => view.differing.includes(name);
  return {
    size: view.size,
    summary: view.summary,
    founders: [
      {
        name: own.name,
        address: own.address,
        state: "this machine",
        ...(hindrances.length === 0 ? {} : { why: hindrances.join("; ") }),
      },
      ...view.present.map(({ entry, card }) => ({
        name: entry.name,
        address: entry.address,
        state: isDiffering(entry.name) ? "there, with another view" : "there",
        ...(card.hindrances.length === 0 ? {} : { why: card.hindrances.join("; ") }),
      })),
      ...view.missing.map(({ entry, why }) => ({ name: entry.name, address: entry.address, state: "missing", why })),
    ].slice(0, MOST_SHOWN),
    unmet: dials.flatMap(({ endpoint, error }) =>
      error === undefined || error.code === "conflict/self-dial" ? [] : [{ address: endpoint, why: sentenceOf(error) }]
    ).slice(0, MOST_SHOWN),
    conflicts: view.conflicts.map(({ message }) => message),
    refusedHellos: Object.fromEntries(Object.entries(refusedHellos).filter(([, count]) => count > 0)),
    ...(waiting === undefined ? {} : {
      waitsFor: {
        what: waiting.what,
        from: [...waiting.from],
        since: waiting.since.toISOString(),
        ...(waiting.lastError === undefined ? {} : { error: sentenceOf(waiting.lastError) }),
      },
    }),
  };
}
