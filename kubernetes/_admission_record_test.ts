import assert from "node:assert/strict";
import fc from "fast-check";
import { BootstrapError } from "../platform/errors.ts";
import { admissionSpec, admissionStatus, imageOf, readAdmission } from "./_admission_record.ts";

const timeMs = fc.nat(2 ** 42);
const recordArbitrary = fc.record({
  identity: fc.stringMatching(/^[0-9a-f]{64}$/),
  nodeName: fc.stringMatching(/^[a-z0-9]{1,10}$/),
  role: fc.constantFrom("worker" as const, "control-plane" as const),
  nodeKey: fc.base64String(),
  addresses: fc.array(fc.oneof(fc.ipV4(), fc.ipV6(), fc.string())),
  evidenceDigest: fc.stringMatching(/^[0-9a-f]{64}$/),
  resetCount: fc.nat(2 ** 32 - 1),
  registers: fc.dictionary(fc.stringMatching(/^[a-z]{1,9}[0-9]{1,2}$/), fc.string(), { noNullPrototype: true }),
  policyDigest: fc.stringMatching(/^[0-9a-f]{16}$/),
  attestedMs: timeMs,
}, { noNullPrototype: true, requiredKeys: ["identity", "nodeName", "role", "nodeKey", "addresses", "evidenceDigest"] });
const certificateArbitrary = fc.record({
  serial: fc.stringMatching(/^[0-9a-f]{1,40}$/),
  digest: fc.stringMatching(/^[0-9a-f]{64}$/),
  notAfterMs: timeMs,
}, { noNullPrototype: true });
const statusArbitrary = fc.record({
  client: certificateArbitrary,
  serving: certificateArbitrary,
  epoch: fc.integer({ min: 1, max: 999_999_999 }),
  untilMs: timeMs,
  servingUntilMs: timeMs,
}, { noNullPrototype: true, requiredKeys: [] });

const metadataOf = (name: string) => ({ name, uid: "u", resourceVersion: "1" });

Deno.test("readAdmission() reads what admissionSpec() and admissionStatus() write", () => {
  fc.assert(fc.property(recordArbitrary, statusArbitrary, fc.option(timeMs), (record, status, removed) => {
    const removedMs = removed ?? undefined;
    const written = {
      metadata: metadataOf(record.identity),
      spec: admissionSpec(record, removedMs),
      status: admissionStatus(status),
    };
    const read = readAdmission(JSON.parse(JSON.stringify(written)));
    assert.deepEqual(read.record, record);
    assert.deepEqual(read.status, status);
    assert.equal(read.removedMs, removedMs);
  }));
});

Deno.test("readAdmission() names record and field when a field is missing or wrong", () => {
  const identity = "ab".repeat(32);
  const spec = admissionSpec({
    ...{ identity, nodeName: "b", role: "worker", nodeKey: "", addresses: [], evidenceDigest: "", resetCount: 1 },
  });
  const refused = (changed: Record<string, unknown>, field: string) =>
    assert.throws(
      () => readAdmission({ metadata: metadataOf(identity), spec: changed }),
      (error: unknown) => {
        assert.ok(error instanceof BootstrapError && error.code === "malformed/admission-record");
        assert.deepEqual(error.details, { record: identity, field });
        return true;
      },
    );
  for (const field of ["identity", "nodeName", "role", "nodeKey", "addresses", "evidenceDigest"]) {
    const { [field]: _, ...rest } = spec;
    refused(rest, `spec.${field}`);
  }
  const wrong: readonly [string, unknown][] = [
    ["role", "admin"],
    ["resetCount", -1],
    ["resetCount", 1.5],
    ["identity", "cd".repeat(32)],
    ["attestedAt", "now"],
    ["removedAt", 5],
  ];
  for (const [field, value] of wrong) refused({ ...spec, [field]: value }, `spec.${field}`);
  refused({ ...spec, addresses: [1] }, "spec.addresses.0");
  for (const none of [undefined, null, [], {}, { metadata: {} }]) {
    assert.throws(() => readAdmission(none), { code: "malformed/admission-record" });
  }
});

Deno.test("imageOf() takes the launch measurement, or the PCR of the unified kernel image, or the boot loader's", () => {
  assert.equal(imageOf({ pcr4: "a", pcr11: "b", pcr12: "c" }), "b");
  assert.equal(imageOf({ pcr4: "a", pcr0: "b" }), "a");
  assert.equal(imageOf({ pcr4: "a", pcr11: "00".repeat(32) }), "a");
  assert.equal(imageOf({ pcr4: "ff".repeat(32), pcr11: "00".repeat(32) }), undefined);
  assert.equal(imageOf({ measurement: "m", pcr11: "b" }), "m");
  assert.equal(imageOf({ mrtd: "m", rtmr1: "r" }), "r");
  assert.equal(imageOf({ pcr0: "b" }), undefined);
  assert.equal(imageOf(undefined), undefined);
});
