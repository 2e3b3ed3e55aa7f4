import { createHash } from "node:crypto";
import { groupOf, type Part } from "./parts.ts";

/** The first 32 bits of a hash of a commit and a purpose: equal for everybody, and unlike for each purpose. */
export function numberOf(commit: string, purpose: string): number {
  return createHash("sha256").update(`${commit} ${purpose}`).digest().readUInt32BE(0);
}

/**
 * One part of each group, chosen by a commit's hash: the same for everybody who tests that commit, and another for the next, so
 * that some landings together run them all.
 */
export function chooseParts(commit: string, all: readonly Part[]): Part[] {
  const groups = Map.groupBy(all, groupOf);
  return [...groups].flatMap(([group, members]) => members[numberOf(commit, group) % members.length] ?? []);
}
