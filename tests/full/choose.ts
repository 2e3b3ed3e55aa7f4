import { fits, groupOf, type Part } from "./parts.ts";
import { numberOf } from "./slice.ts";

/**
 * One part of each group, chosen by a commit's hash: the same for everybody who tests that commit on such a machine, and another for
 * the next, so that some landings together run them all. What the machine has too few cores for is not chosen. Their order goes by the commit too: where the time does not suffice, it is not always
 * the same group that is left out.
 */
export function chooseParts(commit: string, all: readonly Part[], cores: number): Part[] {
  const chosen = [...Map.groupBy(all.filter((part) => fits(part, cores)), groupOf)].flatMap(([group, members]) =>
    members[numberOf(`${commit} ${group}`) % members.length] ?? []
  );
  const placeOf = (part: Part) => numberOf(`${commit} place of ${groupOf(part)}`);
  return chosen.toSorted((a, b) => placeOf(a) - placeOf(b));
}
