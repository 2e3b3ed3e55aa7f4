/**
 * Describes in words why a value does not satisfy a schema: the path of each wrong key, the expected value and the seen
 * one.
 *
 * @module
 */
import type { BaseIssue, GenericSchema } from "valibot";
import { safeParse } from "valibot";

const SHOWN_PROBLEMS = 5;
const LONGEST_SHOWN_VALUE = 40;
/** The schemas that define an object's keys. */
const OBJECTS: readonly string[] = ["object", "strict_object"];
/** The schemas of mappings. */
const MAPPINGS: readonly string[] = [...OBJECTS, "loose_object", "object_with_rest", "record"];
/** The schemas that take lists. */
const LISTS: readonly string[] = ["array", "tuple", "strict_tuple", "loose_tuple", "any", "unknown", "custom"];

/** The part of a valibot schema's type that determines the type of its output. */
export interface DocumentSchema<T> {
  /** Marks a schema of valibot. */
  readonly kind: "schema";
  /** The part of Standard Schema, version 1, that every valibot schema contains. */
  readonly "~standard": {
    readonly vendor: "valibot";
    readonly types?: { readonly output: T } | undefined;
  };
}

/** A value that satisfies its schema, or the problems that it has. */
export type Checked<T> =
  | { readonly value: T; readonly problem?: undefined }
  | {
    /** The first problems, as a clause: `tpm.pcrs["4"]: expected string, seen 5`. */
    readonly problem: string;
    /** The path of the first wrong key; empty for the whole document. */
    readonly key: string;
  };

type Issue = BaseIssue<unknown>;

/** Checks a value against a schema. */
export function checkValue<T>(value: unknown, schema: DocumentSchema<T>): Checked<T> {
  const list = listForMapping(value, schema, []);
  if (list !== undefined && list.length > 0) {
    return { problem: `${keyPath(list)}: expected a mapping, seen a list`, key: keyPath(list) };
  }
  const result = safeParse(schema as GenericSchema<unknown, T>, value);
  if (result.success) return { value: result.output };
  const problems = result.issues.map((issue) => describe(issue, schema));
  const shown = problems.slice(0, SHOWN_PROBLEMS).join("; ");
  const more = problems.length > SHOWN_PROBLEMS ? `; and ${problems.length - SHOWN_PROBLEMS} more` : "";
  return { problem: `${shown}${more}`, key: keyPath(keysOf(result.issues[0])) };
}

/**
 * Returns the path of a list where the schema has a mapping; `undefined` if there is none. Valibot takes such a list,
 * whose places become the mapping's keys.
 */
function listForMapping(
  value: unknown,
  schema: unknown,
  path: readonly (string | number)[],
): readonly (string | number)[] | undefined {
  const wrapped = property(schema, "wrapped");
  if (wrapped !== undefined) return listForMapping(value, wrapped, path);
  const options = property(schema, "options");
  if (Array.isArray(options)) {
    // Another option of a union may take the list.
    const isTaken = Array.isArray(value) && options.some(takesList);
    const found = options.map((option) => listForMapping(value, option, path)).filter((one) => one !== undefined);
    return isTaken ? undefined : found[0];
  }
  if (MAPPINGS.includes(typeOf(schema)) && Array.isArray(value)) return path;
  if (typeof value !== "object" || value === null) return undefined;
  const entries = property(schema, "entries");
  const inside = property(schema, "item") ?? property(schema, "value");
  for (const [key, one] of Object.entries(value)) {
    const below = property(entries, key) ?? inside;
    const place = Array.isArray(value) ? Number(key) : key;
    const found = below === undefined ? undefined : listForMapping(one, below, [...path, place]);
    if (found !== undefined) return found;
  }
  return undefined;
}

function typeOf(schema: unknown): string {
  if (typeof schema !== "object" || schema === null) return "";
  const wrapped = property(schema, "wrapped");
  return wrapped === undefined ? String(Reflect.get(schema, "type")) : typeOf(wrapped);
}

function takesList(schema: unknown): boolean {
  const options = property(schema, "options");
  return Array.isArray(options) ? options.some(takesList) : LISTS.includes(typeOf(schema));
}

function describe(issue: Issue, schema: unknown): string {
  const keys = keysOf(issue);
  // The whole may be another file altogether, such as a passphrase: nothing of it is shown.
  if (keys.length === 0 && issue.message.startsWith("Invalid ")) return `it has no keys: it is ${formOf(issue.input)}`;
  const path = keyPath(keys) || "the document";
  if (!OBJECTS.includes(issue.type) || keys.length === 0) return `${path}: ${reasonOf(issue)}`;
  if (issue.expected !== "never") {
    return issue.received === "undefined" ? `${path} is missing` : `${path}: ${reasonOf(issue)}`;
  }
  const valid = validKeys(schema, keys.slice(0, -1));
  const nearest = nearestOf(String(keys.at(-1)), valid);
  return `${path} is no key here; ${
    nearest === undefined ? "no key is valid" : `the nearest valid one is "${nearest}"`
  }`;
}

/** Returns the schema's own message if it has one; otherwise the expected and the seen value, cut to a short length. */
function reasonOf(issue: Issue): string {
  if (!issue.message.startsWith("Invalid ")) return issue.message;
  const seen = issue.received.length > LONGEST_SHOWN_VALUE
    ? `${issue.received.slice(0, LONGEST_SHOWN_VALUE)}…`
    : issue.received;
  if (issue.expected === null) return issue.message;
  return `expected ${issue.expected}, seen ${issue.expected === "string" ? unquoted(issue.input, seen) : seen}`;
}

/** Describes a value that YAML takes for something else than the text that it was meant to be. */
function unquoted(value: unknown, seen: string): string {
  if (typeof value !== "number") return seen;
  // Digits with an "e" are a number too, mostly one that is too large to be shown.
  return `${Number.isFinite(value) ? seen : "one out of range"}, a number; write it in quotes`;
}

/** Names the form of a value that is no object, without the value. */
function formOf(value: unknown): string {
  if (value === null || value === undefined) return "empty";
  return Array.isArray(value) ? "a list" : `a ${typeof value}`;
}

function keysOf(issue: Issue): readonly (string | number)[] {
  return (issue.path ?? []).map(({ key }) => typeof key === "number" ? key : String(key));
}

/** Formats the path of a key for errors: `tpm.pcrs["4"]`; empty for the document itself. */
export function keyPath(keys: readonly (string | number)[]): string {
  return keys.map((key, index) => {
    if (typeof key === "number") return `[${key}]`;
    return /^[A-Za-z_]\w*$/.test(key) ? `${index === 0 ? "" : "."}${key}` : `[${JSON.stringify(key)}]`;
  }).join("");
}

/** Returns the keys that a schema allows at a path. It walks through objects, records, arrays and their wrappers. */
function validKeys(schema: unknown, path: readonly (string | number)[]): readonly string[] {
  const wrapped = property(schema, "wrapped");
  if (wrapped !== undefined) return validKeys(wrapped, path);
  const options = property(schema, "options");
  if (Array.isArray(options)) return options.flatMap((option) => validKeys(option, path));
  const entries = property(schema, "entries");
  const [key, ...rest] = path;
  if (key === undefined) return Object.keys(entries ?? {});
  const next = property(entries, String(key)) ?? property(schema, "item") ?? property(schema, "value");
  return next === undefined ? [] : validKeys(next, rest);
}

function property(value: unknown, key: string): object | undefined {
  if (typeof value !== "object" || value === null || !Object.hasOwn(value, key)) return undefined;
  const found: unknown = Reflect.get(value, key);
  return typeof found === "object" && found !== null ? found : undefined;
}

function nearestOf(key: string, candidates: readonly string[]): string | undefined {
  const distances = candidates.map((candidate) => ({ candidate, distance: editDistance(key, candidate) }));
  return distances.sort((a, b) => a.distance - b.distance)[0]?.candidate;
}

/** Computes the Levenshtein distance, ignoring case. */
function editDistance(from: string, to: string): number {
  const target = [...to.toLowerCase()];
  let row = target.map((_, index) => index + 1);
  [...from.toLowerCase().slice(0, LONGEST_SHOWN_VALUE)].forEach((letter, above) => {
    let diagonal = above;
    let left = above + 1;
    row = row.map((up, index) => {
      left = Math.min(left + 1, up + 1, diagonal + (target[index] === letter ? 0 : 1));
      diagonal = up;
      return left;
    });
  });
  return row.at(-1) ?? from.length;
}
