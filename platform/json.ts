/**
 * JSON that another program wrote, or this one some time ago: read strictly, and refused with the path of the key that is wrong.
 *
 * @module
 */
import { fromUtf8, utf8 } from "./bytes.ts";
import type { BootstrapError } from "./errors.ts";
import type { DocumentSchema } from "./schema_problems.ts";
import { checkValue } from "./schema_problems.ts";

/** What tells one kind of JSON from another. */
export interface JsonForm<T> {
  /** What it must be. */
  readonly schema: DocumentSchema<T>;
  /** Longer input is refused before it is looked at. */
  readonly maximumBytes: number;
  /**
   * Makes the form's error.
   *
   * @param reason What is wrong, as a clause; never the text itself, but it may show a short value that the schema refuses.
   * @param key The path of the first wrong key; empty for the whole.
   */
  readonly error: (reason: string, key: string, cause?: unknown) => BootstrapError;
}

/**
 * The value that JSON stands for, checked by a valibot schema.
 *
 * @param input UTF-8, or the text.
 * @throws {BootstrapError} The form's error: too long, no UTF-8, no JSON, a key twice in one object, or not what the schema wants.
 */
export function readJson<T>(input: Uint8Array | string, { schema, maximumBytes, error }: JsonForm<T>): T {
  // UTF-8 has at least as many bytes as UTF-16 has units, which are cheaper to count.
  const isTooLong = input.length > maximumBytes || (typeof input === "string" && utf8(input).length > maximumBytes);
  if (isTooLong) throw error(`it is larger than ${maximumBytes} bytes`, "");
  let text: string;
  try {
    text = typeof input === "string" ? input : fromUtf8(input, "JSON");
  } catch (cause) {
    throw error("it is not UTF-8", "", cause);
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw error("it is not JSON", "", cause);
  }
  const twice = keyThatIsThereTwice(text);
  if (twice !== undefined) throw error(`its key ${JSON.stringify(twice)} is there twice`, twice);
  const checked = checkValue(value, schema);
  if (checked.problem === undefined) return checked.value;
  throw error(checked.problem, checked.key);
}

/** A text, and the colon that makes it a key; or an object's begin or end. */
const TOKEN = /("[^"\\]*(?:\\.[^"\\]*)*")(\s*:)?|[{}]/g;

/** `JSON.parse` keeps the last of them, and another reader may keep the first. The text must be JSON. */
function keyThatIsThereTwice(text: string): string | undefined {
  const open: Set<string>[] = [];
  for (const [token, quoted, colon] of text.matchAll(TOKEN)) {
    if (token === "{") open.push(new Set());
    else if (token === "}") open.pop();
    else if (quoted !== undefined && colon !== undefined) {
      const key: string = JSON.parse(quoted);
      const keys = open.at(-1);
      if (keys?.has(key)) return key;
      keys?.add(key);
    }
  }
  return undefined;
}
