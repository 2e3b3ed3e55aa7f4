/**
 * Schemas that several sections of a policy share.
 *
 * @module
 */
import * as v from "valibot";
import type { Bytes } from "../../platform/bytes.ts";
import { fromHex } from "../../platform/bytes.ts";
import type { DocumentSchema } from "../../platform/document.ts";

/** A valibot schema of one value. */
export type Part<T> = v.GenericSchema<unknown, T>;

/**
 * Returns a schema of hexadecimal digits of a fixed length. Its output is in lower case.
 *
 * @param bytes The number of bytes that the digits encode.
 * @param what The value's name in errors, such as "a SHA-256 digest".
 */
export function hexOf(bytes: number, what: string): Part<string> {
  const digits = new RegExp(`^[0-9a-fA-F]{${2 * bytes}}$`);
  return v.pipe(
    v.string(),
    v.regex(digits, `must be ${what}, ${2 * bytes} hexadecimal digits`),
    v.toLowerCase(),
  ) as Part<string>;
}

/** A schema of a SHA-256 digest. Its output is in lower case. */
export const digestHex: Part<string> = hexOf(32, "a SHA-256 digest");

/** Returns the schema of {@linkcode hexOf} with bytes as its output. */
export function bytesOf(bytes: number, what: string): Part<Bytes> {
  return v.pipe(hexOf(bytes, what), v.transform((text) => fromHex(text, what))) as Part<Bytes>;
}

/** Returns the schema of a section that another module defines. */
export function sectionOf<T>(schema: DocumentSchema<T>): Part<T> {
  return schema as Part<T>;
}

/** Returns a schema of a list with one entry or more. */
export function listOf<T>(part: Part<T>): Part<readonly T[]> {
  return v.pipe(v.array(part), v.minLength(1, "must have at least one allowed value")) as Part<readonly T[]>;
}

/** Returns a schema of a list with a set as its output. */
export function setOf<T>(part: Part<T>): Part<ReadonlySet<T>> {
  return v.pipe(listOf(part), v.transform((list): ReadonlySet<T> => new Set(list))) as Part<ReadonlySet<T>>;
}

/** Returns a schema of a list of bans with a set as its output. Without a list the set is empty. */
export function bansOf<T>(part: Part<T>): Part<ReadonlySet<T>> {
  return v.pipe(v.array(part), v.transform((list): ReadonlySet<T> => new Set(list))) as Part<ReadonlySet<T>>;
}
