/**
 * The first part of the ceremony: from founders that see each other to a fixed roster.
 *
 * @module
 */
import type { Clock } from "../platform/clock.ts";
import type { Log } from "../platform/log.ts";
import type { CeremonyParts, FoundersSeen } from "./ceremony_parts.ts";
import { makePledge, type Pledge, readPledge } from "./pledge.ts";
import { Roster } from "./roster.ts";
import type { Waits } from "./waits.ts";

/** What {@linkcode fixRoster} needs. */
export interface PledgingParts
  extends Pick<CeremonyParts, "folder" | "keys" | "trustDigest" | "size" | "seen" | "publish" | "ready"> {
  readonly clock: Pick<Clock, "sleep">;
  readonly log: Log;
  readonly waits: Waits;
  readonly pollMs: number;
}

/**
 * Pledges, once all founders show the same view and this node is ready, and collects the pledges of the others.
 *
 * @returns The fixed roster.
 * @throws {BootstrapError} `malformed/founder-file`, `conflict/pledge`, `system/file`; the signal's reason.
 */
export async function fixRoster(parts: PledgingParts, signal: AbortSignal): Promise<Roster> {
  const { folder, clock, log, pollMs } = parts;
  const pledge = await readPledge(parts) ?? await pledgeWhenAgreed(parts, signal);
  const roster = await Roster.open(folder, pledge);
  publish(parts, roster);
  while (!roster.isFixed) {
    const seen = parts.seen();
    const { added, refused } = await roster.hear(seen.pledges);
    for (const { name } of added) log.event("info", "founding-pledge-heard", { founder: name });
    for (const { name } of refused) log.event("warn", "founding-pledge-refused", { founder: name });
    if (added.length > 0) publish(parts, roster);
    if (roster.isFixed) break;
    parts.waits.set("pledging", waitsForPledges(seen), roster.missing.map(({ name }) => name));
    await clock.sleep(pollMs, signal);
  }
  publish(parts, roster);
  log.event("info", "founding-roster-fixed", { founders: roster.founders.map(({ name }) => name) });
  return roster;
}

async function pledgeWhenAgreed(parts: PledgingParts, signal: AbortSignal): Promise<Pledge> {
  for (;;) {
    // Whatever the others show: two that wait for each other to be ready would both wait for ever.
    const isReady = await parts.ready();
    // Cards may have come meanwhile.
    const seen = parts.seen();
    const problem = problemOf(seen, parts.size) ?? (isReady ? undefined : "this node to be ready to found");
    if (problem === undefined) {
      const pledge = await makePledge(seen.entries, parts);
      parts.log.event("info", "founding-pledged", { founders: pledge.founders.map(({ name }) => name) });
      return pledge;
    }
    parts.waits.set("pledging", problem, []);
    await parts.clock.sleep(parts.pollMs, signal);
  }
}

function problemOf({ entries, isAgreed, hindrances }: FoundersSeen, size: number): string | undefined {
  if (hindrances.length > 0) return hindrances.join("; ");
  const names = entries.map(({ name }) => name).join(", ");
  if (entries.length < size) return `${size - entries.length} more of ${size} founders; it sees ${names}`;
  if (entries.length > size) return `a founder to be switched off: there are ${entries.length} of ${size}: ${names}`;
  return isAgreed ? undefined : "all founders to see the same founders";
}

function waitsForPledges({ absent }: FoundersSeen): string {
  return absent.length === 0 ? "pledges" : `pledges (absent: ${absent.join(", ")})`;
}

function publish({ publish }: PledgingParts, { founders, pledges, isFixed }: Roster): void {
  publish({ entries: founders, pledges, isFixed });
}
