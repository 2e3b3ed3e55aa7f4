/**
 * Colours on terminals.
 *
 * @module
 */

/** A colour of a terminal's own palette. */
export type Colour = "green" | "red" | "yellow";

const CODES: Readonly<Record<Colour, number>> = { green: 32, red: 31, yellow: 33 };

/** Returns a function that colours a text; one that leaves it as it is where no colours are wanted. */
export function painter(hasColours: boolean): (colour: Colour, text: string) => string {
  return hasColours ? (colour, text) => `\u001b[${CODES[colour]}m${text}\u001b[0m` : (_, text) => text;
}
