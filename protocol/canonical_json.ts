/**
 * The canonical form of JSON (RFC 8785), in which equal values have equal bytes.
 *
 * @module
 */
import canonicalize from "canonicalize";
import { BootstrapError } from "../platform/errors.ts";

/**
 * Writes a value as canonical JSON.
 *
 * @param value A value that JSON has: its objects are plain.
 * @param what The value's name, for errors.
 * @throws {BootstrapError} `malformed/json-value` for a number or a text that JSON does not have: an infinite number, or
 *   half a surrogate pair.
 */
export function canonicalJson(value: unknown, what: string): string {
  try {
    const text: unknown = canonicalize(value);
    if (typeof text === "string") return text;
  } catch (cause) {
    throw malformed(what, cause);
  }
  throw malformed(what);
}

function malformed(what: string, cause?: unknown): BootstrapError {
  return new BootstrapError(
    "malformed/json-value",
    `Cannot write ${what} as JSON: a number or a text is none of JSON`,
    {
      cause,
    },
  );
}
