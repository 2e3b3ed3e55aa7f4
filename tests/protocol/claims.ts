/**
 * The claims of a model, of which ProVerif needs not answer all: the parts of its one query, or queries of their own.
 *
 * @module
 */

/** The comment that begins a claim. */
const BEGINS = /^\(\* ([QIJRF]\d[cs]?|reach-[\w-]+) /;
/** The lines that end the claims: of one query, and of queries of their own. */
const ENDS: readonly string[] = [".", "(* the end of the claims *)"];

/** The names of a preprocessed model's claims, in their order. */
export function claimsOf(text: string): string[] {
  return text.split("\n").flatMap((line) => BEGINS.exec(line)?.[1] ?? []);
}

/**
 * A preprocessed model that has only some claims. Lines that are left out become empty ones.
 *
 * @param names At least one.
 * @throws Error when the model lacks a claim.
 */
export function keepClaims(text: string, names: readonly string[]): string {
  const known = claimsOf(text);
  const unknown = names.find((name) => !known.includes(name));
  if (unknown !== undefined) throw new Error(`Cannot ask for the claim "${unknown}" as the model does not have it`);
  let isKept = true;
  let isFirst = true;
  return text.split("\n").map((line) => {
    const [, name] = BEGINS.exec(line) ?? [];
    if (name !== undefined) isKept = names.includes(name);
    if (ENDS.includes(line)) isKept = true;
    if (!isKept) return "";
    if (!isFirst || !line.startsWith(";")) return line;
    // The claims of one query are separated by semicolons, and each begins with its own.
    isFirst = false;
    return ` ${line.slice(1)}`;
  }).join("\n");
}
