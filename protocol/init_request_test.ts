import assert from "node:assert/strict";
import fc from "fast-check";
import { generateKeyPair } from "../certificate/keys.ts";
import { BootstrapError } from "../platform/errors.ts";
import { InitRequest } from "../proto/gen/bootstrapper.ts";
import { readInitRequest, sameOperation } from "./init_request.ts";

const admin = await generateKeyPair("p-256");
const good: InitRequest = {
  operationId: new Uint8Array(16).fill(7),
  clusterName: "demo",
  adminKey: admin.spki,
  clusterDocument: "kubernetesVersion: v1.36.3\n",
  policyDocument: "version: 1\n",
  timeMs: 1_900_000_000_000n,
};
const encode = (request: InitRequest) => InitRequest.encode(request).finish();

Deno.test("readInitRequest() reads an operator's request", () => {
  assert.deepEqual({ ...readInitRequest(encode(good)) }, good);
});

Deno.test("readInitRequest() refuses an unusable request, and names the field", () => {
  const cases: readonly (readonly [changes: Partial<InitRequest>, field: string])[] = [
    [{ operationId: new Uint8Array() }, "operation_id"],
    [{ operationId: new Uint8Array(15) }, "operation_id"],
    [{ operationId: new Uint8Array(17) }, "operation_id"],
    [{ clusterName: "" }, "cluster_name"],
    [{ adminKey: new Uint8Array() }, "admin_key"],
    [{ adminKey: admin.spki.subarray(0, -1) }, "admin_key"],
    [{ adminKey: Uint8Array.of(...admin.spki, 0) }, "admin_key"],
    [{ clusterDocument: "" }, "cluster_document"],
    [{ policyDocument: "" }, "policy_document"],
    [{ clusterDocument: "x".repeat(64 * 1024 + 1) }, "cluster_document"],
    [{ policyDocument: "x".repeat(64 * 1024 + 1) }, "policy_document"],
  ];
  for (const [changes, field] of cases) {
    assert.throws(() => readInitRequest(encode({ ...good, ...changes })), (error: unknown) => {
      assert(error instanceof BootstrapError);
      return error.code === "malformed/init-request" && error.details["field"] === field &&
        error.message.includes(`"${field}"`);
    }, field);
  }
});

Deno.test("readInitRequest() throws only malformed/init-request for any bytes", () => {
  const bytes = encode(good);
  const read = (input: Uint8Array) => {
    try {
      readInitRequest(input);
    } catch (error) {
      assert(error instanceof BootstrapError && error.code === "malformed/init-request", String(error));
    }
  };
  for (let length = 0; length < bytes.length; length++) read(bytes.subarray(0, length));
  for (let index = 0; index < bytes.length; index++) read(bytes.with(index, (bytes[index] ?? 0) ^ 0x80));
  fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), read));
});

Deno.test("readInitRequest() refuses a request that is cut off anywhere", () => {
  const bytes = encode({ ...good, timeMs: 0n });
  for (let length = 0; length < bytes.length; length++) {
    assert.throws(() => readInitRequest(bytes.subarray(0, length)), { code: "malformed/init-request" }, `${length}`);
  }
});

Deno.test("sameOperation() compares everything but the time", () => {
  assert(sameOperation(good, { ...good, timeMs: 1n }));
  const changes: readonly Partial<InitRequest>[] = [
    { operationId: new Uint8Array(16) },
    { clusterName: "prod" },
    { adminKey: new Uint8Array(91) },
    { clusterDocument: "kubernetesVersion: v1.36.4\n" },
    { policyDocument: "version: 2\n" },
    // The two documents are swapped.
    { clusterDocument: good.policyDocument, policyDocument: good.clusterDocument },
  ];
  for (const change of changes) assert(!sameOperation(good, { ...good, ...change }), Object.keys(change).join());
});
