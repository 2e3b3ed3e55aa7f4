/**
 * Finds what a mistyped word was probably meant to be.
 *
 * @module
 */

/** A word is near another one if at most one letter in this many differs. */
const LETTERS_FOR_ONE_ERROR = 3;
/** Longer words are compared by their beginnings. */
const LONGEST_WORD = 40;

/** Returns the candidate that a text was probably meant to be; `undefined` if none is near. */
export function nearestOf(text: string, candidates: readonly string[]): string | undefined {
  const near = candidates.map((candidate) => ({ candidate, distance: editDistance(text, candidate) }))
    .filter(({ candidate, distance }) => {
      return distance <= Math.floor(Math.max(text.length, candidate.length) / LETTERS_FOR_ONE_ERROR);
    });
  return near.sort((a, b) => a.distance - b.distance)[0]?.candidate;
}

/** Computes the Levenshtein distance, ignoring case. */
function editDistance(from: string, to: string): number {
  const target = [...to.toLowerCase()];
  let row = target.map((_, index) => index + 1);
  [...from.toLowerCase().slice(0, LONGEST_WORD)].forEach((letter, above) => {
    let diagonal = above;
    let left = above + 1;
    row = row.map((up, index) => {
      left = Math.min(left + 1, up + 1, diagonal + (target[index] === letter ? 0 : 1));
      diagonal = up;
      return left;
    });
  });
  return row.at(-1) ?? from.length;
}
