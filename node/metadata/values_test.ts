import assert from "node:assert/strict";
import fc from "fast-check";
import { sourceText } from "../../platform/endpoint_source.ts";
import { BootstrapError } from "../../platform/errors.ts";
import { METADATA_FIELDS, metadataProblem, readMetadataValues } from "./values.ts";

const ALL = { use: METADATA_FIELDS };

Deno.test("readMetadataValues() reads what the configuration uses, and nothing else", () => {
  const texts = { name: "Worker-1", address: "10.0.0.1,fd00::1", role: "worker", endpoints: "10.0.0.2:9444, dns:a:1" };
  const { endpoints = [], ...rest } = readMetadataValues(ALL, texts, "it");
  assert.deepEqual(rest, { name: "worker-1", address: "10.0.0.1", secondAddress: "fd00::1", role: "worker" });
  assert.deepEqual(endpoints.map(sourceText), ["10.0.0.2:9444", "dns:a:1"]);
  assert.deepEqual(readMetadataValues({ use: ["role"] }, { ...texts, name: "no name" }, "it"), { role: "worker" });
});

Deno.test("readMetadataValues() names a value that is missing, which may come later", () => {
  assert.throws(() => readMetadataValues(ALL, { name: "a" }, "ec2"), (error) => {
    assert.ok(error instanceof BootstrapError && error.retriable);
    assert.match(error.message, /has no address: ec2/);
    return error.code === "unavailable/metadata";
  });
});

Deno.test("readMetadataValues() refuses what the configuration would refuse", () => {
  const cases: readonly (readonly [field: typeof METADATA_FIELDS[number], texts: readonly string[]])[] = [
    ["name", ["", "a b", "-a", "localhost", "x".repeat(300), "a\n", "${NAME}"]],
    ["address", ["", "here", "127.0.0.1", "169.254.0.1", "10.0.0.0/24", "10.0.0.1,10.0.0.2", "fe80::1", "10.0.0.1 "]],
    ["role", ["", "master", "Worker", "worker,control-plane", "constructor"]],
    ["endpoints", [
      "",
      ",",
      "10.0.0.1",
      "https://a:1",
      "0.0.0.0:1",
      "a:1 a:1",
      "dns:10.0.0.1:1",
      "srv:a",
      "a:1,".repeat(65),
    ]],
  ];
  for (const [field, texts] of cases) {
    for (const text of texts) {
      assert.throws(() => readMetadataValues({ use: [field] }, { [field]: text }, "it"), (error) => {
        assert.ok(error instanceof BootstrapError && error.message.includes(field), text);
        return error.code === "malformed/metadata";
      }, `${field} ${JSON.stringify(text)}`);
    }
  }
});

Deno.test("metadataProblem() has a short clause or nothing for any text", () => {
  fc.assert(fc.property(fc.constantFrom(...METADATA_FIELDS), fc.string({ unit: "binary" }), (field, text) => {
    const problem = metadataProblem(field, text);
    assert.ok(problem === undefined || (problem.length > 0 && problem.length < 1000));
  }));
});
