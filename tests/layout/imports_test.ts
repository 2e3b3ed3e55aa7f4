/** Imports point down only: the rule and its reasons are in ARCHITECTURE.md. */
import assert from "node:assert/strict";
import { circlesOf, houseOf, type ImportGraph, readImports, specifiersOf } from "./imports.ts";

/** Nothing imports these. */
const ENTRIES: readonly string[] = ["main.ts", "binary.ts"];
/** The houses from the roof down. A file imports from its own house and from those of lower storeys. */
const STOREYS: readonly (readonly string[])[] = [
  [...ENTRIES],
  ["cli"],
  ["node"],
  ["service", "operator"],
  ["init", "join", "founding", "backup"],
  ["nodelock"],
  ["attestation", "channel"],
  ["protocol"],
  ["kubernetes", "journal"],
  ["certificate"],
  ["platform", "proto"],
];
/** The two ends of each exchange. Neither knows the other's code: what they share is in `protocol`. */
const STRANGERS: readonly string[] = ["init", "join", "founding", "service", "operator"];
const HOUSES: readonly string[] = STOREYS.flat();
/** No program, and no part of one. */
const OUTSIDE: readonly string[] = ["tests", "deploy"];

function storeyOf(house: string): number {
  return STOREYS.findIndex((houses) => houses.includes(house));
}

/** A test may use the harness in `tests/`, and the test helpers of any house that it may import. */
function isTest(file: string): boolean {
  return file.endsWith("_test.ts") || file.split("/").includes("testing");
}

/** The imports that break the rule, as "file imports file". */
function wrongImports(graph: ImportGraph): string[] {
  const wrong: string[] = [];
  for (const [file, imported] of graph) {
    const house = houseOf(file);
    if (OUTSIDE.includes(house)) continue;
    for (const other of imported) {
      const theirs = houseOf(other);
      const isDown = storeyOf(house) < storeyOf(theirs) && !(STRANGERS.includes(house) && STRANGERS.includes(theirs));
      const isHarness = isTest(file) && theirs === "tests";
      const isOfTests = isTest(other) && !isTest(file);
      if ((theirs === house || isDown || isHarness) && !isOfTests) continue;
      wrong.push(`${file} imports ${other}`);
    }
  }
  return wrong;
}

const graph = await readImports();

Deno.test("each file belongs to a house that has its storey, or is outside the program", () => {
  const houses = new Set([...graph.keys()].map(houseOf));
  assert.deepEqual([...houses].toSorted(), [...HOUSES, ...OUTSIDE].toSorted());
});

Deno.test("each import is of a file that exists", () => {
  const lost = [...graph].flatMap(([file, imported]) =>
    imported.filter((other) => !graph.has(other)).map((other) => `${file} imports ${other}`)
  );
  assert.deepEqual(lost, []);
});

Deno.test("no import points up, and the two ends of an exchange do not import each other", () => {
  assert.deepEqual(wrongImports(graph), []);
});

Deno.test("no file imports itself through others", () => {
  assert.deepEqual(circlesOf(graph), []);
});

Deno.test("what only tests use is in a testing folder or in tests/", () => {
  const users = new Map<string, string[]>();
  for (const [file, imported] of graph) {
    for (const other of imported) users.set(other, [...users.get(other) ?? [], file]);
  }
  const isOfProgram = (file: string) => HOUSES.includes(houseOf(file)) && !isTest(file);
  const idle = [...graph.keys()].filter((file) =>
    !ENTRIES.includes(file) && isOfProgram(file) && !(users.get(file) ?? []).some(isOfProgram)
  );
  assert.deepEqual(idle, []);
});

const rules: readonly (readonly [string, string, string, boolean])[] = [
  ["a house may import a lower one", "join/a.ts", "protocol/b.ts", true],
  ["a house may not import a higher one", "protocol/a.ts", "attestation/b.ts", false],
  ["houses of one storey may not import each other", "kubernetes/a.ts", "journal/b.ts", false],
  ["the ends of an exchange may not, even where it points down", "service/a.ts", "join/b.ts", false],
  ["a program may not use what is for tests", "cli/a.ts", "cli/testing/b.ts", false],
  ["a program may not use the harness", "cli/a.ts", "tests/b.ts", false],
  ["a test may use the harness", "cli/a_test.ts", "tests/b.ts", true],
  ["a test may not import a higher house", "platform/a_test.ts", "cli/testing/b.ts", false],
];
for (const [rule, file, imported, isRight] of rules) {
  Deno.test(`the rule of imports: ${rule}`, () => {
    assert.equal(wrongImports(new Map([[file, [imported]], [imported, []]])).length === 0, isRight);
  });
}

Deno.test("specifiersOf() finds imports of values, of types and for side effects, re-exports, and import()", () => {
  // The names are put in afterwards, as this file is read for its imports, too.
  const text = [
    'import { a } from "A";',
    'import type { B } from "B";',
    'import "C";',
    'export * from "D";',
    'const e = await import("E");',
    "import {\n  f,\n} from 'F';",
    'import { g } from "npm:g";',
  ].join("\n").replaceAll(/(["'])([A-F])\1/g, (_, quote, name) => `${quote}./${name}${quote}`);
  assert.deepEqual(specifiersOf(text), ["./A", "./B", "./C", "./D", "./E", "./F"]);
});

Deno.test("circlesOf() finds circles of two, of three, and of a file with itself, and nothing else", () => {
  const circles = circlesOf(
    new Map([
      ["a", ["b"]],
      ["b", ["a", "c"]],
      ["c", ["d"]],
      ["d", ["e"]],
      ["e", ["c"]],
      ["f", ["f", "a"]],
      ["g", ["a", "c"]],
    ]),
  );
  assert.deepEqual(circles.toSorted(), [["a", "b"], ["c", "d", "e"], ["f"]].toSorted());
});
