/** The model in step with the code: every message and check names what does it, and what is named is there. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { claimsOf } from "./claims.ts";
import { modelPath } from "./model.ts";
import { flagsOf, preprocess } from "./preprocess.ts";
import { declares, isMessageOrCheck, readModelLines } from "./references.ts";
import { queriesOf, VARIANTS } from "./variants.ts";

const root = join(import.meta.dirname ?? ".", "../..");
const model = await Deno.readTextFile(modelPath);
const lines = readModelLines(model);
const read = (file: string) => Deno.readTextFile(join(root, file));

Deno.test("readModelLines() finds a name in the code for every message and check of the model", () => {
  const wanted = lines.filter(isMessageOrCheck);
  const missing = wanted.filter(({ references }) => references === undefined);
  assert.deepEqual(missing.map(({ number, code }) => `${number}: ${code.trim()}`), []);
  // That the rule for such lines itself still finds the four parties.
  assert.ok(wanted.length > 100, `${wanted.length} messages and checks`);
});

Deno.test("readModelLines() names only what the code has", async () => {
  const sources = new Map<string, string>();
  for (const { number, references } of lines) {
    if (references === undefined || references === "scene") continue;
    for (const { file, symbol, literal } of references) {
      const source = sources.get(file) ?? await read(file);
      sources.set(file, source);
      assert.ok(declares(source, symbol), `line ${number}: ${file} does not declare ${symbol}`);
      if (literal === undefined) continue;
      assert.ok(source.includes(literal), `line ${number}: ${file} does not have "${literal}"`);
    }
  }
  assert.ok(sources.size > 20, `${sources.size} files`);
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
    const code of ["#ifdef X", "  event E(x, y);", "  new s: bitstring; new r: coins;", "  (", "  !", "", "  (* why *)"]
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

Deno.test("the model has exactly the kinds of messages that the contract has", async () => {
  const contract = await read("proto/bootstrapper.proto");
  const envelopes = [
    ...contract.matchAll(/^message (?:Init|Join)(?:Client|Server)Message \{\n {2}oneof message \{\n([^}]*)\}/gm),
  ];
  assert.equal(envelopes.length, 4);
  const kinds = envelopes.flatMap(([, fields = ""]) =>
    [...fields.matchAll(/^ {4}\w+ (\w+) = \d+;$/gm)].map(([, kind]) => kind)
  );
  const [, declared = ""] = /^\(\* the kinds of messages.*\n^const (.*): bitstring\.$/m.exec(model) ?? [];
  assert.deepEqual(declared.split(", ").toSorted(), [...new Set(kinds)].toSorted());
});

Deno.test("the model has exactly the labels and the signatures' tags that the transcript has", async () => {
  const transcript = await read("protocol/transcript.ts");
  const [, union = ""] = /^export type SignatureTag =([^;]*);$/m.exec(transcript) ?? [];
  const tags = [...union.matchAll(/"([\w-]+)"/g)].map(([, tag]) => tag);
  const namesOf = (kind: string) =>
    [...model.matchAll(new RegExp(`^const ${kind}\\w+: bitstring\\. .*"([\\w-]+)" \\*\\)$`, "gm"))].map(([, name]) =>
      name
    );
  assert.deepEqual(namesOf("tag").toSorted(), tags.toSorted());
  const labels = [...transcript.matchAll(/\b(?:tagged\(|sha256\(LABEL, utf8\()"(\w+)"/g)].map(([, name]) => name);
  // The channel binding and the two registers are constructors of their own.
  const others = ["cb", "trust", "lock"];
  assert.deepEqual([...namesOf("label"), ...others].toSorted(), labels.toSorted());
});

Deno.test("VARIANTS has a verdict for every query, and uses every flag of the model", () => {
  for (const { name, flags, asks = [], expected } of VARIANTS) {
    assert.deepEqual(queriesOf({ flags }), claimsOf(preprocess(model, flags)), name);
    assert.equal(expected.length, queriesOf({ flags, asks }).length, name);
    assert.match(expected, /^[TF?]+$/, name);
  }
  assert.equal(new Set(VARIANTS.map(({ name }) => name)).size, VARIANTS.length);
  const used = new Set<string>(VARIANTS.flatMap(({ flags }) => flags));
  assert.deepEqual([...flagsOf(model)].filter((flag) => !used.has(flag)), []);
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
