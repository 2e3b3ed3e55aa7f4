/**
 * Parts that the forms of several sections of a policy have in common.
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
 * Hexadecimal digits of a fixed length, which come out in lower case.
 *
 * @param bytes How many bytes they stand for.
 * @param what What it must be, such as "a SHA-256 digest".
 */
export function hexOf(bytes: number, what: string): Part<string> {
  const digits = new RegExp(`^[0-9a-fA-F]{${2 * bytes}}$`);
  return v.pipe(
    v.string(),
    v.regex(digits, `must be ${what}, ${2 * bytes} hexadecimal digits`),
    v.toLowerCase(),
  ) as Part<string>;
}

/** A SHA-256 digest, which comes out in lower case. */
export const digestHex: Part<string> = hexOf(32, "a SHA-256 digest");

/** {@linkcode hexOf}, as bytes. */
export function bytesOf(bytes: number, what: string): Part<Bytes> {
  return v.pipe(hexOf(bytes, what), v.transform((text) => fromHex(text, what))) as Part<Bytes>;
}

/** A section of its own module as a part. */
export function sectionOf<T>(schema: DocumentSchema<T>): Part<T> {
  return schema as Part<T>;
}

/** A list of one or more. */
export function listOf<T>(part: Part<T>): Part<readonly T[]> {
  return v.pipe(v.array(part), v.minLength(1, "must have at least one allowed value")) as Part<readonly T[]>;
}

/** A list as a set. */
export function setOf<T>(part: Part<T>): Part<ReadonlySet<T>> {
  return v.pipe(listOf(part), v.transform((list): ReadonlySet<T> => new Set(list))) as Part<ReadonlySet<T>>;
}

/** A list of what is banned, as a set; empty where nothing is. */
export function bansOf<T>(part: Part<T>): Part<ReadonlySet<T>> {
  return v.pipe(v.array(part), v.transform((list): ReadonlySet<T> => new Set(list))) as Part<ReadonlySet<T>>;
}
