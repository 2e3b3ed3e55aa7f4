import { fits, groupOf, type Part } from "./parts.ts";
import { numberOf } from "./slice.ts";

/**
 * Chooses one part of each group by a commit's hash. Everyone who tests the commit on such a machine runs the same
 * parts, and the next commit runs others, so that several landings together run all of them. Parts that need more cores
 * than there are are left out. The hash also decides the order, so that it is not always the same group for which no
 * time is left.
 */
export function chooseParts(commit: string, all: readonly Part[], cores: number): Part[] {
  const chosen = [...Map.groupBy(all.filter((part) => fits(part, cores)), groupOf)].flatMap(([group, members]) =>
    members[numberOf(`${commit} ${group}`) % members.length] ?? []
  );
  const placeOf = (part: Part) => numberOf(`${commit} place of ${groupOf(part)}`);
  return chosen.toSorted((a, b) => placeOf(a) - placeOf(b));
}
