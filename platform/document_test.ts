import assert from "node:assert/strict";
import fc from "fast-check";
import * as v from "valibot";
import { MAXIMUM_DOCUMENT_BYTES, readDocument } from "./document.ts";
import { BootstrapError } from "./errors.ts";

const schema = v.strictObject({
  version: v.literal(1),
  node: v.optional(v.strictObject({
    name: v.string(),
    endpoints: v.optional(v.array(v.strictObject({ address: v.string(), port: v.optional(v.number()) }))),
    labels: v.optional(v.record(v.string(), v.strictObject({ value: v.string() }))),
  })),
  listed: v.optional(v.union([v.union([v.string(), v.array(v.string())]), v.strictObject({ a: v.string() })])),
  union: v.optional(v.union([v.string(), v.strictObject({ a: v.optional(v.string()) })])),
  short: v.optional(v.pipe(v.string(), v.maxLength(3, "is longer than 3"))),
});

function failure(text: string): BootstrapError {
  try {
    readDocument(text, schema, "the test document");
  } catch (error) {
    assert.ok(error instanceof BootstrapError);
    assert.equal(error.code, "usage/document");
    assert.equal(error.details["document"], "the test document");
    return error;
  }
  throw new assert.AssertionError({ message: `accepted: ${text.slice(0, 100)}` });
}

Deno.test("readDocument() gives the value when it satisfies the schema", () => {
  const text = "version: 1\nnode:\n  name: a # comment\n  endpoints:\n  - {address: b, port: 1}\n";
  assert.deepEqual(readDocument(text, schema, "it"), {
    version: 1,
    node: { name: "a", endpoints: [{ address: "b", port: 1 }] },
  });
});

Deno.test("readDocument() names the path and the nearest valid key when a key is unknown", () => {
  const cases: readonly [string, string, string][] = [
    ["version: 1\nnod: {}", "nod", "node"],
    ["version: 1\nnode: {name: a, endpoint: []}", "node.endpoint", "endpoints"],
    ["version: 1\nnode: {name: a, endpoints: [{address: a, Port: 1}]}", "node.endpoints[0].Port", "port"],
    ["version: 1\nnode: {name: a, labels: {x-y: {value: a, walue: 1}}}", 'node.labels["x-y"].walue', "value"],
  ];
  for (const [text, path, nearest] of cases) {
    const error = failure(text);
    assert.equal(error.details["key"], path);
    assert.ok(error.message.includes(`${path} is no key here`) && error.message.includes(`"${nearest}`), error.message);
  }
});

Deno.test("readDocument() names the path when a value is missing or of the wrong kind", () => {
  assert.match(failure("node: {name: a}").message, /: version is missing$/);
  assert.match(
    failure("version: 1\nnode: {name: 0}").message,
    /node\.name: expected string, seen 0, a number; write it in quotes$/,
  );
  for (const number of ["1e9999", "1111e1111", "-.inf", ".nan"]) {
    assert.match(
      failure(`version: 1\nnode: {name: ${number}}`).message,
      /node\.name: expected string, seen a value out of range, a number; write it in quotes$/,
    );
  }
  assert.match(failure("version: 1\nnode: {name: [a]}").message, /node\.name: expected string, seen a list$/);
  assert.match(failure("version: 2").message, /version: expected 1, seen 2/);
  assert.match(failure("version: 1\nshort: abcd").message, /short: is longer than 3$/);
  assert.match(failure("").message, /it has no keys: it is empty$/);
  assert.match(failure("a").message, /it has no keys: it is a string$/);
});

Deno.test("readDocument() refuses a list where a mapping is wanted, wherever it is", () => {
  const cases: readonly [string, string][] = [
    ["version: 1\nnode: []", "node"],
    ["version: 1\nnode: [{name: a}]", "node"],
    ["version: 1\nnode: {name: a, labels: []}", "node.labels"],
    ["version: 1\nnode: {name: a, labels: [{value: a}]}", "node.labels"],
    ["version: 1\nnode: {name: a, labels: {x: []}}", "node.labels.x"],
    ["version: 1\nnode: {name: a, endpoints: [[]]}", "node.endpoints[0]"],
    ["version: 1\nunion: []", "union"],
  ];
  for (const [text, path] of cases) {
    const error = failure(text);
    assert.ok(error.message.endsWith(`${path}: expected a mapping, seen a list`), error.message);
    assert.equal(error.details["key"], path);
  }
  readDocument("version: 1\nlisted: [a]", schema, "it");
});

Deno.test("readDocument() refuses what YAML can hide", () => {
  assert.match(failure("version: 1\nversion: 1").message, /Map keys must be unique/);
  assert.match(failure('version: 1\n4: 1\n"4": 2').message, /Map keys must be unique/);
  assert.match(failure("a: &x 1\nversion: *x").message, /alias/i);
  assert.match(
    failure("version: 1\n---\nversion: 1").message,
    /it has several documents: leave out the line "---" at line 2, column 1$/,
  );
  assert.match(failure("version: !!js/undefined 1").message, /tag/i);
  assert.match(failure("version: !secret 1").message, /tag/i);
  assert.match(failure(`version: 1 # ${"x".repeat(MAXIMUM_DOCUMENT_BYTES)}`).message, /larger than 65536 bytes/);
  assert.match(failure(`version: 1 # ${"é".repeat(MAXIMUM_DOCUMENT_BYTES / 2)}`).message, /larger than 65536 bytes/);
  assert.match(failure("version: 1\n__proto__: 1").message, /__proto__ is no key anywhere/);
  failure("version: 1\nnode: {name: a, labels: {constructor: {value: a}}}");
  failure("[".repeat(60_000));
  failure("- ".repeat(30_000));
  failure("? [a]\n: 1\nversion: 1");
});

Deno.test("readDocument() throws only its own error whatever the text is", () => {
  fc.assert(fc.property(fc.string({ unit: "binary" }), (text) => void failure(text)));
  fc.assert(fc.property(fc.json(), (text) => void failure(text)));
});

Deno.test("readDocument() names each unknown key, with its line, and none that is far from it", () => {
  const { message } = failure("version: 1\nnode:\n  name: a\n  colour: red\n  endpoint: []\nshrt: a\n");
  assert.match(message, /line 4: node\.colour is no key here; the keys here are name, endpoints, labels/);
  assert.match(message, /line 5: node\.endpoint is no key here; the nearest valid one is "endpoints"/);
  assert.match(message, /line 6: shrt is no key here; the nearest valid one is "short"/);
});

Deno.test("readDocument() runs further checks, and says where their problems are", () => {
  const read = () =>
    readDocument("version: 1\nshort: abc\n", schema, "it", {
      check: ({ short }) => [{ path: ["short"], text: `short is ${short}` }, { path: [], text: "the whole is wrong" }],
    });
  assert.throws(read, {
    message: "Cannot use it: line 2: short is abc; the whole is wrong",
    details: { document: "it", key: "short" },
  });
});

Deno.test("readDocument() says of the nearest form what is wrong, with the value, where there are several forms", () => {
  const kind = v.picklist(["tpm", "snp", "tdx"]);
  const forms = v.strictObject({
    variant: v.optional(v.union([kind, v.array(kind)])),
    peers: v.optional(
      v.union([v.union([kind, v.array(kind)]), v.strictObject({ node: kind, init: kind })], "must be kinds"),
    ),
    digest: v.optional(v.pipe(v.string(), v.regex(/^[0-9a-f]{4}$/, "must be a digest"))),
    count: v.optional(v.pipe(v.number(), v.integer("must be whole"))),
    keys: v.optional(v.array(v.string())),
    map: v.optional(v.strictObject({})),
  });
  const cases: readonly (readonly [string, string])[] = [
    ["variant: [tpm, tpm2]", 'variant[1]: "tpm2" is none of tpm, snp, tdx; did you mean "tpm"?'],
    ["variant: tpm2", 'variant: "tpm2" is none of tpm, snp, tdx; did you mean "tpm"?'],
    ["variant: [tpm, 5]", 'variant[1]: expected ("tpm" | "snp" | "tdx"), seen 5'],
    ["peers: {node: tpm, init: sev}", 'peers.init: "sev" is none of tpm, snp, tdx'],
    ["peers: [sgx1, tpm]", 'peers[0]: "sgx1" is none of tpm, snp, tdx'],
    ["peers: 5", "peers: must be kinds; current value is 5"],
    ["digest: abc", 'digest: must be a digest; current value is "abc"'],
    ["count: 1.5", "count: must be whole; current value is 1.5"],
    ["keys: {}", "keys: expected a list, seen a mapping"],
    ["map:", "map: expected a mapping, seen an empty value; indent the keys that belong to it, or leave it out"],
    ["keys: abc", 'keys: expected a list, seen "abc", a text; write a list: - "abc"'],
    [
      `keys: ${"a".repeat(50)}`,
      `keys: expected a list, seen "${"a".repeat(39)}…", a text; write a list: "- " and the text`,
    ],
  ];
  for (const [text, problem] of cases) {
    assert.throws(() => readDocument(text, forms, "it"), { message: `Cannot use it: line 1: ${problem}` });
  }
});
