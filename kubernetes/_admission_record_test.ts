import assert from "node:assert/strict";
import fc from "fast-check";
import { BootstrapError } from "../platform/errors.ts";
import { readRecord, writeRecord } from "./_admission_record.ts";

const recordArbitrary = fc.record({
  identity: fc.stringMatching(/^[0-9a-f]{64}$/),
  nodeName: fc.stringMatching(/^[a-z0-9]{1,10}$/),
  role: fc.constantFrom("worker" as const, "control-plane" as const),
  nodeKey: fc.base64String(),
  addresses: fc.array(fc.oneof(fc.ipV4(), fc.ipV6(), fc.string())),
  evidenceDigest: fc.stringMatching(/^[0-9a-f]{64}$/),
  resetCount: fc.nat(2 ** 32 - 1),
  registers: fc.dictionary(fc.string(), fc.string(), { noNullPrototype: true }),
  policyNumber: fc.stringMatching(/^[0-9a-f]{16}$/),
  attestedMs: fc.nat(2 ** 48),
}, { noNullPrototype: true, requiredKeys: ["identity", "nodeName", "role", "nodeKey", "addresses", "evidenceDigest"] });

Deno.test("readRecord() reads what writeRecord() writes", () => {
  fc.assert(fc.property(recordArbitrary, (record) => {
    assert.deepEqual(readRecord(writeRecord(record), "x"), record);
  }));
});

Deno.test("readRecord() names ConfigMap and field when a field is missing or wrong", () => {
  const data = writeRecord({
    ...{ identity: "a", nodeName: "b", role: "worker", nodeKey: "", addresses: [], evidenceDigest: "", resetCount: 1 },
  });
  for (const field of ["identity", "nodeName", "role", "nodeKey", "addresses", "evidenceDigest"]) {
    const { [field]: _, ...rest } = data;
    assert.throws(() => readRecord(rest, "node-b"), (error: unknown) => {
      assert.ok(error instanceof BootstrapError && error.code === "malformed/admission-record");
      assert.deepEqual(error.details, { configMap: "node-b", field });
      return true;
    });
  }
  for (
    const wrong of [{ role: "admin" }, { resetCount: "-1" }, { resetCount: "1e9" }, { addresses: "[1]" }, {
      addresses: "x",
    }]
  ) {
    assert.throws(() => readRecord({ ...data, ...wrong }, "node-b"), BootstrapError);
  }
});
