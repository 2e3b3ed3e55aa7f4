/**
 * Schemas that several sections of a policy share.
 *
 * @module
 */
import * as v from "valibot";
import type { Bytes } from "../../platform/bytes.ts";
import { fromHex } from "../../platform/bytes.ts";
import type { Bit, BitRules } from "../bit_rules.ts";
import type { DocumentSchema } from "../../platform/document.ts";

const HIGHEST_BIT = 63;

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

/** Returns a schema of rules for the bits of a field. `names` has the numbers of those that have a name. */
export function bitsOf<Name extends string>(names: Readonly<Record<Name, number>>): Part<BitRules<Name>> {
  const known = Object.keys(names) as Name[];
  const number = v.pipe(v.number(), v.integer("must be whole"), v.minValue(0), v.maxValue(HIGHEST_BIT));
  const bit = v.pipe(
    v.union([v.picklist(known), number], `must be ${known.join(", ")}, or the number of a bit, 0 to ${HIGHEST_BIT}`),
    // A bit has one spelling, so that rules about it can be compared.
    v.transform((one): Bit<Name> => known.find((name) => names[name] === one) ?? one),
  );
  return v.pipe(
    v.strictObject({
      required: v.optional(v.array(bit), []),
      forbidden: v.optional(v.array(bit), []),
      allowed: v.exactOptional(v.array(bit)),
    }),
    v.check(({ required, forbidden, allowed = [] }) => {
      return ![...required, ...allowed].some((one) => forbidden.includes(one));
    }, "requires or allows a bit that it forbids"),
  ) as Part<BitRules<Name>>;
}
