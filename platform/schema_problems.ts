/**
 * Describes in words why a value does not satisfy a schema: the path of each wrong key, the expected value and the seen
 * one.
 *
 * @module
 */
import type { BaseIssue, GenericSchema } from "valibot";
import { safeParse } from "valibot";
import { shown } from "./label.ts";
import { nearestOf } from "./nearest.ts";
import { placesOf, property, validKeys } from "./schema_keys.ts";

const SHOWN_PROBLEMS = 5;
const LONGEST_SHOWN_VALUE = 40;
/** Where an object has more keys than this, an error does not list them. */
const MOST_LISTED_KEYS = 12;
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
    /** All problems. */
    readonly problems: readonly Problem[];
  };

/** Where a value does not satisfy its schema. */
export interface Problem {
  /** The keys on the way to it; empty for the whole document. */
  readonly path: readonly (string | number)[];
  /** A clause, with the path: `tpm.pcrs["4"]: expected string, seen 5`. */
  readonly text: string;
}

/**
 * Says what to write instead of a key that a document does not have, or for one that is missing, by the key's path:
 * `join.endpoint`.
 */
export type KeyHints = Readonly<Record<string, string>>;

type Issue = BaseIssue<unknown>;

/** Checks a value against a schema. */
export function checkValue<T>(value: unknown, schema: DocumentSchema<T>, hints: KeyHints = {}): Checked<T> {
  const list = listForMapping(value, schema, []);
  if (list !== undefined) {
    const text = list.length === 0
      ? `it has no keys: it is ${formOf(value)}`
      : `${keyPath(list)}: expected a mapping, seen a list`;
    return { problem: text, key: keyPath(list), problems: [{ path: list, text }] };
  }
  const result = safeParse(schema as GenericSchema<unknown, T>, value);
  if (result.success) return { value: result.output };
  const problems = onceForEachText(result.issues).flatMap((issue) => describe(issue, schema, hints));
  const shown = problems.slice(0, SHOWN_PROBLEMS).map(({ text }) => text).join("; ");
  const more = problems.length > SHOWN_PROBLEMS ? `; and ${problems.length - SHOWN_PROBLEMS} more` : "";
  return { problem: `${shown}${more}`, key: keyPath(problems[0]?.path ?? []), problems };
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

/** Of the problems of one text only the first: a later check mostly says the same again. */
function onceForEachText(issues: readonly Issue[]): readonly Issue[] {
  const seen = new Set<string>();
  return issues.filter((issue) => {
    if (typeof issue.input !== "string") return true;
    const key = JSON.stringify(keysOf(issue));
    if (seen.has(key)) return false;
    seen.add(key);
    return true;
  });
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

/**
 * Returns the problems inside a value for which there are several forms: those of the form that fits it best. Valibot
 * only says that none fits.
 */
function nearestIssues(issue: Issue): readonly Issue[] {
  if (issue.type !== "union") return [issue];
  const { input, path = [] } = issue;
  const inside = (issue.issues ?? []).flatMap(nearestIssues).filter(({ type, path }) => {
    if (path === undefined) return typeof input === "string" && type === "picklist";
    // A list has no keys that could be missing. A message of the schema's own says which keys there are.
    return !(OBJECTS.includes(type) && (Array.isArray(input) || !issue.message.startsWith("Invalid ")));
  });
  const deepest = inside.filter((one) => keysOf(one).length > 0);
  const chosen = deepest.length > 0 ? deepest : inside;
  if (chosen.length === 0) return [issue];
  return chosen.map((one) => {
    const [first, ...others] = [...path, ...one.path ?? []];
    return first === undefined ? one : { ...one, path: [first, ...others] };
  });
}

function describe(found: Issue, schema: unknown, hints: KeyHints): Problem[] {
  return nearestIssues(found).flatMap((issue) => describeOne(issue, schema, hints));
}

function describeOne(issue: Issue, schema: unknown, hints: KeyHints): Problem[] {
  const keys = keysOf(issue);
  const problem = (text: string): Problem[] => [{ path: keys, text }];
  // The whole may be another file altogether, such as a passphrase: nothing of it is shown.
  if (keys.length === 0 && issue.message.startsWith("Invalid ")) {
    return problem(`it has no keys: it is ${formOf(issue.input)}`);
  }
  const path = keyPath(keys) || "the document";
  if (!OBJECTS.includes(issue.type) || keys.length === 0) return problem(`${path}: ${reasonOf(issue)}`);
  if (issue.expected !== "never") {
    if (issue.received !== "undefined") return problem(`${path}: ${reasonOf(issue)}`);
    const hint = hintFor(path, hints);
    return problem(`${path} is missing${hint === undefined ? "" : `: ${hint}`}`);
  }
  return unknownKeys(issue, keys, schema, hints);
}

/** Valibot names only the first unknown key of an object. */
function unknownKeys(
  issue: Issue,
  keys: readonly (string | number)[],
  schema: unknown,
  hints: KeyHints,
): Problem[] {
  const valid = validKeys(schema, keys.slice(0, -1));
  const input = issue.path?.at(-1)?.input;
  const all = typeof input === "object" && input !== null ? Object.keys(input) : [String(keys.at(-1))];
  return all.filter((key) => !valid.includes(key)).map((key) => {
    const path = [...keys.slice(0, -1), key];
    const place = placeOf(schema, key, keys.slice(0, -1));
    return { path, text: `${keyPath(path)} is no key here; ${adviceFor(key, keyPath(path), { valid, place }, hints)}` };
  });
}

/**
 * Returns the path of the mapping to which a key belongs, empty for the document itself; `undefined` if there is none, or no
 * nearest one. One that is an ancestor of where the key stands, or below there, is nearer than others.
 */
function placeOf(schema: unknown, key: string, at: readonly (string | number)[]): string | undefined {
  const all = placesOf(schema, key);
  const here = at.map(String);
  const isRelated = (place: readonly string[]) =>
    place.every((step, index) => here[index] === undefined || here[index] === step);
  const near = all.filter(isRelated);
  const [first, ...others] = near.length > 0 ? near : all;
  if (first === undefined) return undefined;
  const shortest = [first, ...others].filter(({ length }) => length === Math.min(...all.map(({ length }) => length)));
  const chosen = others.length === 0 ? first : shortest.length === 1 ? shortest[0] : undefined;
  return chosen && keyPath(chosen);
}

function hintFor(path: string, hints: KeyHints): string | undefined {
  return Object.hasOwn(hints, path) ? hints[path] : undefined;
}

/** The keys that are valid where an unknown one stands, and where that one would be valid. */
interface KeyPlaces {
  readonly valid: readonly string[];
  readonly place: string | undefined;
}

function adviceFor(key: string, path: string, { valid, place }: KeyPlaces, hints: KeyHints): string {
  const hint = hintFor(path, hints);
  if (hint !== undefined) return hint;
  const isSpelling = valid.some((one) => one.toLowerCase() === key.toLowerCase());
  if (place !== undefined && !isSpelling) {
    return place === "" ? "it belongs at the top of the document" : `it belongs under ${place}`;
  }
  if (valid.length === 0) return "no key is valid";
  const nearest = nearestOf(key, valid);
  if (nearest !== undefined) return `the nearest valid one is "${nearest}"`;
  return valid.length > MOST_LISTED_KEYS ? "no valid key is near it" : `the keys here are ${valid.join(", ")}`;
}

/** Returns the schema's own message if it has one; otherwise the expected and the seen value, cut to a short length. */
function reasonOf(issue: Issue): string {
  if (!issue.message.startsWith("Invalid ")) return withValue(issue);
  if (issue.expected === null) return issue.message;
  const seen = seenOf(issue);
  if (issue.type === "picklist" && typeof issue.input === "string") {
    return `${seen} is none of ${choicesOf(issue.expected).join(", ")}${nearestChoice(issue.input, issue.expected)}`;
  }
  const expected = issue.expected.split(" | ").map((form) => FORM_NAMES[form] ?? form).join(" | ");
  return `expected ${expected}, seen ${seen}${adviceOn(issue, seen)}`;
}

/** The names of valibot for forms of values, and ours. */
const FORM_NAMES: Readonly<Record<string, string>> = {
  Array: "a list",
  Object: "a mapping",
  null: "an empty value",
  undefined: "an empty value",
};

/** Returns the seen value, cut to a short length. */
function seenOf({ input, received }: Issue): string {
  if (isOutOfRange(input)) return "a value out of range";
  if (received.length <= LONGEST_SHOWN_VALUE) return FORM_NAMES[received] ?? received;
  return `${received.slice(0, LONGEST_SHOWN_VALUE)}…${received.startsWith('"') ? '"' : ""}`;
}

/** Returns a schema's own message, with the value if the message says what one must be and shows none. */
function withValue({ message, input }: Issue): string {
  const isValue = typeof input === "string" || (typeof input === "number" && !isOutOfRange(input));
  if (!isValue || !message.startsWith("must ") || /; seen |current value/.test(message)) {
    return message.replace(/(?<=\bseen )(?:Array|Object|null|undefined)$/, (form) => FORM_NAMES[form] ?? form);
  }
  return `${message}; current value is ${typeof input === "string" ? shown(input) : input}`;
}

function choicesOf(expected: string): readonly string[] {
  return [...expected.matchAll(/"([^"]*)"/g)].map(([, choice = ""]) => choice);
}

function nearestChoice(input: string, expected: string): string {
  const nearest = nearestOf(input, choicesOf(expected));
  return nearest === undefined ? "" : `; did you mean "${nearest}"?`;
}

/** Digits with an "e" are a number in YAML, mostly one that is too large to be shown. */
function isOutOfRange(value: unknown): boolean {
  return typeof value === "number" && !Number.isFinite(value);
}

/** Texts that YAML 1.1 took for truth values, and YAML 1.2 takes for texts. */
const TRUTH: Readonly<Record<string, boolean>> = { yes: true, on: true, y: true, no: false, off: false, n: false };

/** What to write instead of a value of another type, as the end of a clause. */
function adviceOn({ expected, input }: Issue, seen: string): string {
  if (expected === "string" && typeof input === "number") {
    return ", a number; write it in quotes";
  }
  if (expected === "boolean" && (input === 0 || input === 1)) return `, a number; write ${input === 1}`;
  if (typeof input !== "string" || expected === null) return "";
  if (expected === "Object" && /^[\w"']+:\S/.test(input)) return ", a text; write a space after the colon";
  const truth = TRUTH[input.toLowerCase()];
  if (expected === "boolean" && truth !== undefined) return `, a text in YAML 1.2; write ${truth}`;
  if (expected === "boolean" && /^(?:true|false)$/i.test(input)) {
    return `, a text; write ${input.toLowerCase()} without quotes`;
  }
  if ((expected === "number" || expected === input) && /^-?\d+$/.test(input)) {
    return `, a text; write ${input} without quotes`;
  }
  if (expected === "Array" && /[,;]/.test(input)) {
    return ', a text; write a list with an entry on each line, after "- "';
  }
  if (expected === "Array") return `, a text; write a list: ${seen.includes("…") ? '"- " and the text' : `- ${seen}`}`;
  return nearestChoice(input, expected);
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
