/**
 * Reads JSON that another program, or an earlier run of this one, wrote. The reader is strict, and its errors name the
 * path of the wrong key.
 *
 * @module
 */
import { textIn, utf8 } from "./bytes.ts";
import type { BootstrapError } from "./errors.ts";
import { newerDocument, withNewerProgram } from "./file_version.ts";
import type { DocumentSchema } from "./schema_problems.ts";
import { checkValue } from "./schema_problems.ts";

/** The form of a kind of JSON document. */
export interface JsonForm<T> {
  /** The schema that the value must satisfy. */
  readonly schema: DocumentSchema<T>;
  /** The largest accepted size. Longer input is refused before it is parsed. */
  readonly maximumBytes: number;
  /**
   * The newest known version, for documents with a key `version`: a later one is refused as such, and its other keys
   * are not looked at.
   */
  readonly newest?: number;
  /**
   * Creates the form's error.
   *
   * @param reason The problem, as a clause. It never quotes the text, but it may show a short value that the schema
   *   refuses.
   * @param key The path of the first wrong key; empty for the whole document.
   */
  readonly error: (reason: string, key: string, cause?: unknown) => BootstrapError;
}

/**
 * Parses JSON, and checks the value against a valibot schema.
 *
 * @param input The JSON text, or its UTF-8 bytes.
 * @throws {BootstrapError} The error of the form, if the input is too long, is not UTF-8 or not JSON, has a duplicate
 *   key in an object, or does not satisfy the schema.
 */
export function readJson<T>(input: Uint8Array | string, form: JsonForm<T>): T {
  const { schema, maximumBytes, newest, error } = form;
  // UTF-8 has at least as many bytes as UTF-16 has code units, which are cheaper to count.
  const isTooLong = input.length > maximumBytes || (typeof input === "string" && utf8(input).length > maximumBytes);
  if (isTooLong) throw error(`it is larger than ${maximumBytes} bytes`, "");
  const text = typeof input === "string" ? input : textIn(input);
  // JSON has no such characters outside of escapes (RFC 8259, section 7).
  if (text === undefined || text.includes("\0")) throw error("it is not a text in UTF-8", "");
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw error("it is not JSON", "", cause);
  }
  const twice = keyThatIsThereTwice(text);
  if (twice !== undefined) throw error(`its key ${JSON.stringify(twice)} is there twice`, twice);
  const newer = newest === undefined ? undefined : newerDocument(value, newest);
  if (newer !== undefined) throw withNewerProgram(error(newer, "version"));
  const checked = checkValue(value, schema);
  if (checked.problem === undefined) return checked.value;
  throw error(checked.problem, checked.key);
}

/**
 * Returns a key that occurs twice in an object. `JSON.parse` keeps the last value of such a key, while another reader
 * may keep the first. The text must be JSON.
 */
function keyThatIsThereTwice(text: string): string | undefined {
  const open: Set<string>[] = [];
  for (let at = 0; at < text.length; at++) {
    const sign = text.charCodeAt(at);
    if (sign === OPENING) open.push(new Set());
    else if (sign === CLOSING) open.pop();
    else if (sign === QUOTE) {
      const end = endOfString(text, at);
      if (isColonNext(text, end)) {
        const key = keyIn(text.slice(at, end));
        const keys = open.at(-1);
        if (keys?.has(key)) return key;
        keys?.add(key);
      }
      at = end - 1;
    }
  }
  return undefined;
}

const [OPENING, CLOSING, QUOTE] = [0x7b, 0x7d, 0x22];

/** The string that a text with its quotes stands for. */
function keyIn(quoted: string): string {
  return quoted.includes("\\") ? JSON.parse(quoted) : quoted.slice(1, -1);
}

/** Returns the offset behind the string that begins at `start` with a quote. */
function endOfString(text: string, start: number): number {
  let end = text.indexOf('"', start + 1);
  while (isEscaped(text, end)) end = text.indexOf('"', end + 1);
  return end + 1;
}

/** Whether an odd number of backslashes stands before a sign. */
function isEscaped(text: string, at: number): boolean {
  let first = at;
  while (text[first - 1] === "\\") first--;
  return (at - first) % 2 === 1;
}

function isColonNext(text: string, start: number): boolean {
  let at = start;
  while (WHITE_SPACE.includes(text[at] ?? ":")) at++;
  return text[at] === ":";
}

/** RFC 8259, section 2. */
const WHITE_SPACE = " \t\n\r";
