/**
 * Mutations of texts: lines, words, the syntax characters of YAML and JSON, Unicode.
 *
 * @module
 */
import { utf8 } from "../../platform/bytes.ts";
import type { Mutation } from "./_byte_mutations.ts";
import type { Random } from "./_random.ts";

const TOKENS = [
  ...[
    "{",
    "}",
    "[",
    "]",
    "- ",
    ": ",
    "? ",
    "&a ",
    "*a",
    "<<: *a",
    "!!binary ",
    "!!set ",
    "! ",
    "|\n  ",
    ">-\n  ",
    "---\n",
    "...\n",
    "# ",
  ],
  ...[
    "%YAML 1.1\n",
    "%TAG ! x\n",
    "\t",
    "\r\n",
    "\r",
    "\n",
    "\n\n",
    "  ",
    "'",
    '"',
    "`",
    "\\u0000",
    "\\ud800",
    "\\",
    ",",
    ":",
    "/",
  ],
  ...[
    "null",
    "~",
    "true",
    "yes",
    "0",
    "-0",
    "1e999",
    "-1",
    "0x10",
    "0o7",
    ".inf",
    ".nan",
    "9007199254740993",
    "1e-400",
    '""',
    "[]",
    "{}",
  ],
  ...[
    "__proto__",
    "constructor",
    "toString",
    "hasOwnProperty",
    "length",
    "2026-01-01",
    "2026-01-01T00:00:00Z",
    "9999-12-31T23:59:60Z",
  ],
  ...[
    "\u0000",
    "\u2028",
    "\ufeff",
    "\u202e",
    "\ud83d\ude00",
    "é",
    "e\u0301",
    "İ",
    "ß",
    "\u{10ffff}",
    "٣",
    "Ａ",
    "\u00a0",
    "\u0085",
  ],
  ...[
    "-----BEGIN CERTIFICATE-----\n",
    "-----END CERTIFICATE-----\n",
    "AAAA",
    "====",
    "::1",
    "[::1]:1",
    "127.0.0.1",
    "fe80::1%a",
    "256.1.1.1",
  ],
  ...["a.".repeat(130), "9".repeat(400), "[".repeat(500), "{a: ".repeat(200), "- ".repeat(500), "x".repeat(5000)],
] as const;
const MOST_LINES = 4000;
const decoder = new TextDecoder();

type TextMutation = (text: string, random: Random, other: string) => string;

function insert(text: string, at: number, what: string): string {
  return text.slice(0, at) + what + text.slice(at);
}

function onLines(change: (lines: string[], random: Random, others: string[]) => void): TextMutation {
  return (text, random, other) => {
    const lines = text.split("\n").slice(0, MOST_LINES);
    change(lines, random, other.split("\n"));
    return lines.join("\n");
  };
}

/** Replaces a word, a number or a quoted text. */
const otherWord: TextMutation = (text, random, other) => {
  const words = [...text.matchAll(/[\w.+/-]+/g)];
  const word = random.pick(words);
  if (word === undefined) return text;
  const replacement = random.oneIn(2) ? random.pick(TOKENS) : random.pick([...other.matchAll(/[\w.+/-]+/g)])?.[0] ?? "";
  return text.slice(0, word.index) + replacement + text.slice(word.index + word[0].length);
};

const TEXT_MUTATIONS: readonly [TextMutation, ...TextMutation[]] = [
  (text, random) => insert(text, random.below(text.length + 1), random.pick(TOKENS)),
  (text, random) => insert(text, random.below(text.length + 1), random.pick(TOKENS).repeat(random.length(200))),
  otherWord,
  otherWord,
  (text, random) =>
    insert(
      text,
      random.below(text.length + 1),
      String.fromCodePoint(random.below(random.pick([0x80, 0xd800, 0xd800] as const))),
    ),
  onLines((lines, random) => lines.splice(random.below(lines.length), 1 + random.length(4))),
  onLines((lines, random) => {
    const at = random.below(lines.length);
    lines.splice(at, 0, ...Array.from({ length: 1 + random.length(64) }, () => lines[at] ?? ""));
  }),
  onLines((lines, random, others) => {
    const from = random.below(others.length);
    lines.splice(random.below(lines.length), random.below(2), ...others.slice(from, from + 1 + random.length(8)));
  }),
  onLines((lines, random) => {
    const at = random.below(lines.length);
    lines[at] = `${" ".repeat(random.below(9))}${random.oneIn(3) ? "- " : ""}${(lines[at] ?? "").trimStart()}`;
  }),
  onLines((lines, random) => {
    const [a, b] = [random.below(lines.length), random.below(lines.length)];
    [lines[a], lines[b]] = [lines[b] ?? "", lines[a] ?? ""];
  }),
];

/** Mutates a text. */
export const textMutation: Mutation = (bytes, random, other) =>
  utf8(random.pick(TEXT_MUTATIONS)(decoder.decode(bytes), random, decoder.decode(other)));

const ODD_VALUES: readonly unknown[] = [
  ...[null, true, 0, -1, 1.5, 1e308, 2 ** 53, "", "x", "\u0000", "\ud800", [], {}, [[]], [null], { a: 1 }],
  ...["9".repeat(300), "2026-01-01T00:00:00Z", "ff".repeat(40), "=".repeat(8)],
];

interface JsonPlace {
  readonly parent: Record<string, unknown> | unknown[];
  readonly key: string;
  readonly value: unknown;
}

function jsonPlaces(value: unknown): JsonPlace[] {
  if (typeof value !== "object" || value === null) return [];
  const parent = value as Record<string, unknown>;
  return Object.entries(value).flatMap(([key, inner]) => [{ parent, key, value: inner }, ...jsonPlaces(inner)]);
}

function changeJson({ parent, key, value }: JsonPlace, random: Random, others: readonly JsonPlace[]): void {
  const other = random.pick(others)?.value ?? null;
  const set = (name: string, what: unknown) =>
    Object.defineProperty(parent, name, { value: what, enumerable: true, configurable: true, writable: true });
  switch (random.below(6)) {
    case 0:
      if (Array.isArray(parent)) parent.splice(Number(key), 1);
      else delete parent[key];
      break;
    case 1:
      set(key, random.pick(ODD_VALUES));
      break;
    case 2:
      set(key, structuredClone(other));
      break;
    case 3:
      if (Array.isArray(parent)) parent.push(...Array.from({ length: random.length(600) }, () => value));
      else set(random.pick(["__proto__", "constructor", "x", "name", "toString"] as const), value);
      break;
    case 4:
      set(
        key,
        typeof value === "string"
          ? decoder.decode(textMutation(utf8(value), random, utf8(JSON.stringify(other))))
          : [value],
      );
      break;
    default:
      if (typeof value === "number") {
        set(key, random.pick([value + 1, -value, value * 1e9, value + 0.5, String(value)] as const));
      } else if (typeof value === "string") {
        set(key, value.slice(0, random.below(value.length)) + random.pick(TOKENS) + value);
      }
  }
}

/** Mutates a JSON document as a value. A text that is not JSON is mutated as a text. */
export const jsonMutation: Mutation = (bytes, random, other) => {
  try {
    const root: unknown = { root: JSON.parse(decoder.decode(bytes)) };
    const place = random.pick(jsonPlaces(root));
    if (place === undefined) return bytes;
    let others: JsonPlace[] = [];
    try {
      others = jsonPlaces(JSON.parse(decoder.decode(other)));
    } catch {
      // The other input is not JSON.
    }
    changeJson(place, random, others);
    return utf8(JSON.stringify((root as { root?: unknown }).root ?? null));
  } catch {
    return textMutation(bytes, random, other);
  }
};
