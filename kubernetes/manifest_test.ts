import assert from "node:assert/strict";
import fc from "fast-check";
import { BootstrapError } from "../platform/errors.ts";
import { checkUnique, objectText, readManifest } from "./manifest.ts";

const refusedWith = (pattern: RegExp) => (error: unknown) =>
  error instanceof BootstrapError && error.code === "usage/manifest" && pattern.test(error.message) ||
  assert.fail(String(error));

const MAP = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\n  namespace: b\n";

Deno.test("readManifest() reads documents, lists of objects and JSON in their order, and skips empty documents", () => {
  const list = `apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: Namespace, metadata: {name: n}}\n- ${
    JSON.stringify({ apiVersion: "apps/v1", kind: "DaemonSet", metadata: { name: "d", namespace: "n" } })
  }\n`;
  const objects = readManifest(`---\n# a comment\n---\n${MAP}---\n${list}---\n`, "x.yaml");
  assert.deepEqual(objects.map(objectText), ["ConfigMap b/a", "Namespace n", "DaemonSet n/d"]);
  assert.equal(objects[0]?.place, "x.yaml, line 4");
  assert.equal(objects[1]?.place, "x.yaml, line 10, item 1");
  const json = JSON.stringify({ apiVersion: "v1", kind: "List", items: [{ ...objects[0]?.body }] });
  assert.deepEqual(readManifest(json, "x.json").map(objectText), ["ConfigMap b/a"]);
});

Deno.test("readManifest() reads plain values as kubectl does where YAML 1.1 differs", () => {
  const text = `${MAP}defaultMode: 0400\nquoted: "0400"\nword: yes\nother: "no"\nsecond: Off\nbig: 0900\n`;
  const [object] = readManifest(text, "x");
  const { defaultMode, quoted, word, other, second, big } = object?.body ?? {};
  assert.deepEqual({ defaultMode, quoted, word, other, second, big }, {
    ...{ defaultMode: 0o400, quoted: "0400", word: true, other: "no", second: false, big: 900 },
  });
});

Deno.test("readManifest() refuses what is no object, and says where and why", () => {
  const cases: readonly (readonly [text: string, reason: RegExp])[] = [
    ["", /x: it has no object/],
    ["---\n---\n", /it has no object/],
    ["hello", /line 1: the document is no Kubernetes object/],
    ["kind: Pod\nmetadata: {name: a}", /"apiVersion" is missing/],
    ["apiVersion: v1\nmetadata: {name: a}", /"kind" is missing/],
    ["apiVersion: v1/../x\nkind: Pod\nmetadata: {name: a}", /no usable "apiVersion"/],
    ["apiVersion: v1\nkind: pods\nmetadata: {name: a}", /no usable "kind"/],
    ["apiVersion: v1\nkind: Pod", /the Pod has no metadata/],
    ["apiVersion: v1\nkind: Pod\nmetadata: {}", /the Pod has no metadata.name/],
    ["apiVersion: v1\nkind: Pod\nmetadata: {generateName: a-}", /has generateName/],
    ["apiVersion: v1\nkind: Pod\nmetadata: {name: ../../secrets}", /unusable metadata.name "..\/..\/secrets"/],
    ["apiVersion: v1\nkind: Pod\nmetadata: {name: a, namespace: A}", /unusable metadata.namespace "A"/],
    ["apiVersion: v1\nkind: Pod\nmetadata: {name: a, managedFields: []}", /has managedFields/],
    [`${MAP}---\na: [`, /it is not YAML at line/],
    ["a: &x 1\nb: *x\n", /anchors and aliases are not allowed/],
    ["a: 1\na: 2\n", /a key is there twice/],
    ["[".repeat(100_000), /nested too deeply|not YAML/],
  ];
  for (const [text, reason] of cases) {
    assert.throws(() => readManifest(text, "x"), refusedWith(reason), text.slice(0, 80));
  }
});

Deno.test("readManifest() quotes nothing of a Secret", () => {
  const secret = "c2VjcmV0LXZhbHVl";
  for (
    const end of [`\n${secret}: [`, `\n  "${secret}": {\n`, `\nx: !!${secret} y`, `\n"${secret}": 1\n"${secret}": 2\n`]
  ) {
    const text = `apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData:\n  key: ${secret}${end}`;
    assert.throws(() => readManifest(text, "x"), (error) => {
      assert(error instanceof BootstrapError && error.code === "usage/manifest");
      return !`${error.message} ${JSON.stringify(error.details)} ${String(error.cause)}`.includes(secret);
    });
  }
});

Deno.test("readManifest() returns objects or throws usage/manifest, whatever it reads", () => {
  const changed = fc.tuple(fc.nat(MAP.length), fc.string({ maxLength: 6 })).map(([at, text]) =>
    MAP.slice(0, at) + text + MAP.slice(at + text.length)
  );
  fc.assert(fc.property(fc.oneof(changed, fc.string()), (text) => {
    try {
      assert.notEqual(readManifest(text, "x").length, 0);
    } catch (error) {
      assert(error instanceof BootstrapError && error.code === "usage/manifest", String(error));
    }
  }));
});

Deno.test("checkUnique() refuses an object that is there twice, in whichever version", () => {
  const deployment = (version: string, name: string) =>
    readManifest(`apiVersion: apps/${version}\nkind: Deployment\nmetadata: {name: ${name}}`, "x");
  checkUnique([...deployment("v1", "a"), ...deployment("v1", "b")]);
  assert.throws(
    () => checkUnique([...deployment("v1", "a"), ...deployment("v1beta1", "a")]),
    refusedWith(/Deployment a is there twice, first at x, line 1/),
  );
});
