/** The models in step with the code: every message and check names what does it, and what is named is there. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { BOOTSTRAPPER } from "./bootstrapper_variants.ts";
import { claimsOf } from "./claims.ts";
import { FOUNDING } from "./founding_variants.ts";
import { flagsOf, preprocess } from "./preprocess.ts";
import { declares, isMessageOrCheck, readModelLines, type Reference } from "./references.ts";
import { SEARCHES } from "./searches.ts";
import { UNWRITTEN } from "./unwritten.ts";
import { queriesOf } from "./variant.ts";
import { MODELS, VARIANTS } from "./variants.ts";

const root = join(import.meta.dirname ?? ".", "../..");
const texts = new Map(
  await Promise.all(MODELS.map(async (model) => [model, await Deno.readTextFile(model.path)] as const)),
);
const textOf = (model: typeof MODELS[number]) => texts.get(model) ?? assert.fail(model.name);
const read = (file: string) => Deno.readTextFile(join(root, file));

const sources = new Map<string, string>();
/** The text of a file of the code; of a file that is not there, an empty one. */
async function sourceOf(file: string): Promise<string> {
  const source = sources.get(file) ?? await read(file).catch((error: unknown) => {
    if (error instanceof Deno.errors.NotFound) return "";
    throw error;
  });
  sources.set(file, source);
  return source;
}

function textOfReference({ file, symbol, literal }: Reference): string {
  return `${file} ${symbol}()${literal === undefined ? "" : ` "${literal}"`}`;
}

/** Whether the code has what a comment names. */
async function isWritten({ file, symbol, literal }: Reference): Promise<boolean> {
  const source = await sourceOf(file);
  return declares(source, symbol) && (literal === undefined || source.includes(literal));
}

/** Everything that a model names, with the line that names it. */
function namesIn(text: string): { readonly number: number; readonly reference: Reference }[] {
  return readModelLines(text).flatMap(({ number, references }) =>
    references === undefined || references === "scene" ? [] : references.map((reference) => ({ number, reference }))
  );
}

for (const [model, leastActions, leastFiles] of [[BOOTSTRAPPER, 100, 20], [FOUNDING, 100, 20]] as const) {
  Deno.test(`readModelLines() finds a name in the code for every message and check of "${model.name}"`, () => {
    const wanted = readModelLines(textOf(model)).filter(isMessageOrCheck);
    const missing = wanted.filter(({ references }) => references === undefined);
    assert.deepEqual(missing.map(({ number, code }) => `${number}: ${code.trim()}`), []);
    // That the rule for such lines itself still finds the parties.
    assert.ok(wanted.length > leastActions, `${wanted.length} messages and checks`);
  });

  Deno.test(`"${model.name}" names only what the code has, and what the list of unwritten names has`, async () => {
    const wrong: string[] = [];
    const files = new Set<string>();
    for (const { number, reference } of namesIn(textOf(model))) {
      const text = textOfReference(reference);
      const isThere = await isWritten(reference);
      if (isThere) files.add(reference.file);
      if (!isThere && !UNWRITTEN.includes(text)) wrong.push(`line ${number}: the code does not have ${text}`);
    }
    assert.deepEqual(wrong, []);
    assert.ok(files.size > leastFiles, `${files.size} files`);
  });
}

Deno.test("UNWRITTEN has only names of the models, and none that the code has", async () => {
  const named = new Map(
    MODELS.flatMap((model) => namesIn(textOf(model))).map(({ reference }) => [textOfReference(reference), reference]),
  );
  for (const text of UNWRITTEN) {
    const reference = named.get(text) ?? assert.fail(`no model names ${text}: take it out of the list`);
    assert.ok(!await isWritten(reference), `the code has ${text}: take it out of the list`);
  }
  assert.deepEqual(UNWRITTEN, [...new Set(UNWRITTEN)].toSorted());
});

Deno.test("readModelLines() refuses a comment that names nothing", () => {
  assert.throws(() => readModelLines("  if x then (*@ somewhere *)"), /line 1/);
  assert.throws(() => readModelLines("  if x then (*@ a.ts b() "), /line 1/);
});

Deno.test("isMessageOrCheck() tells what needs a name", () => {
  const role = (code: string) => readModelLines(`let Role(x: bitstring) =\n${code}\n  0.`).at(1);
  const isOne = (code: string) => {
    const line = role(code);
    return line !== undefined && isMessageOrCheck(line);
  };
  for (
    const code of [
      "  out(c, x);",
      "  if x = zero then",
      "  let y = dec(k, x) in",
      "  ) else if x = y then",
      "  | Other(x)",
    ]
  ) {
    assert.ok(isOne(code), code);
  }
  for (
    const code of [
      "#ifdef X",
      "  event E(x, y);",
      "  event E(x, y))).",
      "  new s: bitstring; new r: coins;",
      "  (",
      "  !",
      "",
      "  (* why *)",
    ]
  ) {
    assert.ok(!isOne(code), code);
  }
});

Deno.test("declares() finds declarations and no uses", () => {
  const source =
    "export async function made() {\n  called(x);\n  return kept;\n}\nclass K {\n  async #own(x: X) {\n  }\n}\nconst kept = 1;";
  for (const symbol of ["made", "K", "#own", "kept"]) assert.ok(declares(source, symbol), symbol);
  for (const symbol of ["called", "own", "mad", "x"]) assert.ok(!declares(source, symbol), symbol);
});

Deno.test("the model of Init and Join has exactly the kinds of messages that the contract has", async () => {
  const contract = await read("proto/bootstrapper.proto");
  const envelopes = [
    ...contract.matchAll(/^message (?:Init|Join)(?:Client|Server)Message \{\n {2}oneof message \{\n([^}]*)\}/gm),
  ];
  assert.equal(envelopes.length, 4);
  const kinds = envelopes.flatMap(([, fields = ""]) =>
    [...fields.matchAll(/^ {4}\w+ (\w+) = \d+;$/gm)].map(([, kind]) => kind)
  );
  const model = textOf(BOOTSTRAPPER);
  const [, declared = ""] = /^\(\* the kinds of messages.*\n^const (.*): bitstring\.$/m.exec(model) ?? [];
  assert.deepEqual(declared.split(", ").toSorted(), [...new Set(kinds)].toSorted());
});

Deno.test("the models have exactly the labels and the signatures' tags that the transcript has", async () => {
  const transcript = await read("protocol/transcript.ts");
  const [, union = ""] = /^export type SignatureTag =([^;]*);$/m.exec(transcript) ?? [];
  const tags = [...union.matchAll(/"([\w-]+)"/g)].map(([, tag]) => tag);
  const namesOf = (kind: string) => {
    const constants = MODELS.flatMap((model) => [
      ...textOf(model).matchAll(new RegExp(`^const ${kind}\\w+: bitstring\\. +\\(\\*@ (.* "([\\w-]+)") \\*\\)$`, "gm")),
    ]);
    const written = constants.filter(([, reference = ""]) => !UNWRITTEN.includes(reference));
    return [...new Set(written.map(([, , name = ""]) => name))];
  };
  // Pledges and rosters are searched state by state.
  assert.deepEqual([...namesOf("tag"), "pledge"].toSorted(), tags.toSorted());
  const labels = [...transcript.matchAll(/\b(?:tagged\(|sha256\(\s*LABEL,\s*utf8\()"([\w-]+)"/g)].map(([, name]) =>
    name
  );
  // The channel binding and the two registers are constructors of their own; the token is its key.
  const others = ["cb", "trust", "lock", "roster", "token"];
  assert.deepEqual([...namesOf("label"), ...others].toSorted(), labels.toSorted());
});

Deno.test("VARIANTS has a verdict for every query, and uses every flag of its model", () => {
  for (const { model, name, flags, asks = [], expected } of VARIANTS) {
    assert.deepEqual(queriesOf({ model, flags }), claimsOf(preprocess(textOf(model), flags)), name);
    assert.equal(expected.length, queriesOf({ model, flags, asks }).length, name);
    assert.match(expected, /^[TF?]+$/, name);
  }
  const names = [...VARIANTS, ...SEARCHES].map(({ name }) => name);
  assert.equal(new Set(names).size, names.length);
  for (const model of MODELS) {
    const used = new Set(VARIANTS.filter((variant) => variant.model === model).flatMap(({ flags }) => flags));
    assert.deepEqual([...flagsOf(textOf(model))].filter((flag) => !used.has(flag)), [], model.name);
  }
});

Deno.test("VARIANTS expects what nothing was left out of to hold, and the honest ends to be met", () => {
  for (const variant of VARIANTS.filter(({ kind }) => kind === "base")) {
    const { name, expected } = variant;
    const queries = queriesOf(variant);
    for (const [index, query] of queries.entries()) {
      assert.equal(expected[index], query.startsWith("reach") ? "F" : "T", `${name} ${query}`);
    }
  }
  for (const { name, expected } of VARIANTS.filter(({ kind }) => kind === "breaks")) assert.match(expected, /F/, name);
});
