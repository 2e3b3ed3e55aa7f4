/**
 * The claims of a model: the parts of its one query, of which ProVerif needs not answer all.
 *
 * @module
 */

/** The comment that begins a claim. */
const BEGINS = /^\(\* ([QIJR]\d|reach-\w+) /;
/** The line that ends the query. */
const END = ".";

/** The names of a preprocessed model's claims, in their order. */
export function claimsOf(text: string): string[] {
  return text.split("\n").flatMap((line) => BEGINS.exec(line)?.[1] ?? []);
}

/**
 * A preprocessed model whose query has only some claims. Lines that are left out become empty ones.
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
    if (line === END) isKept = true;
    if (!isKept) return "";
    if (!isFirst || !line.startsWith(";")) return line;
    // Claims are separated by semicolons, and each begins with its own.
    isFirst = false;
    return ` ${line.slice(1)}`;
  }).join("\n");
}
