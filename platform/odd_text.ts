/**
 * What people do not see in what they wrote: characters without a picture or with that of another one, variables that were
 * not filled in, and numbers that YAML writes otherwise.
 *
 * @module
 */
import { hasVariable, shown } from "./label.ts";

/** Names of characters that documents contain by accident. */
const NAMES: Readonly<Record<string, string>> = {
  "\u00a0": "a no-break space",
  "\u00ad": "a soft hyphen",
  "\u200b": "a zero-width space",
  "\u200c": "a zero-width non-joiner",
  "\u200d": "a zero-width joiner",
  "\u2028": "a line separator",
  "\u2060": "a word joiner",
  "\u202f": "a narrow no-break space",
  "\u3000": "an ideographic space",
  "\ufeff": "a byte order mark",
  "\u2010": "a hyphen that is not -",
  "\u2011": "a no-break hyphen",
  "\u2012": "a dash",
  "\u2013": "a dash",
  "\u2014": "a dash",
  "\u2212": "a minus sign that is not -",
  "\u2018": "a curly quote",
  "\u2019": "a curly quote",
  "\u201c": "a curly quote",
  "\u201d": "a curly quote",
  "\u201e": "a curly quote",
};
/** Separators and controls that are not seen, dashes and quotes of prose, and letters and digits that look like others. */
const ODD =
  /[\p{Cf}\p{Zl}\p{Zp}]|(?! )\p{Zs}|[\u2010-\u2015\u2212\u2018-\u201f\uff01-\uff5e]|\p{Script=Cyrillic}|\p{Script=Greek}/u;

/** Names the first character of a text that is not what it looks like, as a clause; `undefined` if there is none. */
export function oddCharacter(text: string): string | undefined {
  const [odd] = ODD.exec(text) ?? [];
  if (odd === undefined) return undefined;
  const code = (odd.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, "0");
  const place = [...text.slice(0, text.indexOf(odd))].length + 1;
  const name = NAMES[odd] ?? `${JSON.stringify(odd)}, which is no ASCII`;
  return `its character ${place} is ${name} (U+${code})`;
}

/**
 * Says what a wrong value, or the key of it, has that is not seen, as a clause; `undefined` if there is nothing.
 *
 * @param said What was said of it already.
 * @param value The value.
 * @param source How the value is written, if it is a scalar.
 * @param key The last key on the way to it, if it is one.
 */
export function unseenIn(
  said: string,
  { value, source, key }: { readonly value: unknown; readonly source?: string; readonly key?: string },
): string | undefined {
  const odd = oddCharacter(key ?? "") ?? (typeof value === "string" ? oddCharacter(value) : undefined);
  if (odd !== undefined) return odd;
  if (typeof value === "string" && hasVariable(value) && !said.includes("was not filled in")) {
    // The value may be a secret that only looks like a variable.
    return "a variable was not filled in";
  }
  if (value === null && key !== undefined && !said.includes("is missing")) {
    return said.includes("a mapping")
      ? "indent the keys that belong to it, or leave it out"
      : "write a value, or leave the key out";
  }
  const isRewritten = typeof value === "number" && Number.isFinite(value) && source !== undefined &&
    source !== String(value);
  return isRewritten ? `YAML reads the text ${shown(source)} without quotes as that number` : undefined;
}
