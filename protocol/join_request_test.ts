import assert from "node:assert/strict";
import fc from "fast-check";
import { BootstrapError } from "../platform/errors.ts";
import { copyOf } from "../platform/bytes.ts";
import { JoinRequest } from "../proto/gen/bootstrapper.ts";
import type { NodeRequest } from "./join_request.ts";
import { encodeRequest, IDENTITY_KEY_BYTES, MAXIMUM_REQUEST_BYTES, readRequest } from "./join_request.ts";

const requests: fc.Arbitrary<NodeRequest> = fc.record({
  purpose: fc.constantFrom("join" as const, "renew" as const),
  nodeName: fc.stringMatching(/^[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?$/),
  role: fc.constantFrom("worker" as const, "control-plane" as const),
  clientCsr: fc.uint8Array({ maxLength: 300 }).map(copyOf),
  servingCsr: fc.uint8Array({ maxLength: 300 }).map(copyOf),
  identityKey: fc.oneof(
    fc.constant(new Uint8Array()),
    fc.uint8Array({ minLength: IDENTITY_KEY_BYTES, maxLength: IDENTITY_KEY_BYTES }).map(copyOf),
  ),
  timeMs: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
  addresses: fc.array(fc.oneof(fc.ipV4(), fc.ipV6()), { maxLength: 16 }),
  kubeletVersion: fc.constantFrom("v1.36.3", "v1.0.0", "v1.36.0-rc.1"),
}, { noNullPrototype: true });

const sample: NodeRequest = {
  purpose: "join",
  nodeName: "worker-1",
  role: "worker",
  clientCsr: new Uint8Array([1, 2, 3]),
  servingCsr: new Uint8Array([4, 5]),
  identityKey: new Uint8Array(IDENTITY_KEY_BYTES).fill(6),
  timeMs: 1_800_000_000_000n,
  addresses: ["192.0.2.7", "2001:db8::7"],
  kubeletVersion: "v1.36.3",
};

function isRefused(bytes: Uint8Array): boolean {
  try {
    readRequest(bytes);
    return false;
  } catch (error) {
    assert.ok(error instanceof BootstrapError && error.code === "malformed/join-request", String(error));
    return true;
  }
}

Deno.test("readRequest() restores the input of encodeRequest()", () => {
  fc.assert(fc.property(requests, (request) => assert.deepEqual(readRequest(encodeRequest(request)), request)));
});

Deno.test("readRequest() reads only the encoding that encodeRequest() makes", () => {
  const check = (bytes: Uint8Array) => {
    if (!isRefused(bytes)) assert.deepEqual(encodeRequest(readRequest(bytes)), copyOf(bytes));
  };
  const bytes = encodeRequest(sample);
  for (let length = 0; length < bytes.length; length++) check(bytes.subarray(0, length));
  for (let index = 0; index < bytes.length; index++) {
    for (let bit = 0; bit < 8; bit++) check(bytes.with(index, (bytes[index] ?? 0) ^ 1 << bit));
  }
  fc.assert(fc.property(fc.uint8Array({ maxLength: 400 }), check));
  fc.assert(fc.property(requests, fc.uint8Array({ minLength: 1, maxLength: 40 }), (request, tail) => {
    check(new Uint8Array([...encodeRequest(request), ...tail]));
  }));
});

Deno.test("readRequest() refuses truncation, unknown fields, and values out of bounds", () => {
  const bytes = encodeRequest(sample);
  assert.ok(isRefused(bytes.subarray(0, bytes.length - 1)));
  assert.ok(isRefused(new Uint8Array([...bytes, 0x7a, 0x00])), "an unknown field");
  assert.ok(isRefused(new Uint8Array(MAXIMUM_REQUEST_BYTES + 1)));
  const wrong: Partial<JoinRequest>[] = [
    ...["", "A", "a..b", "-a", "a-", "a/b", "a\n", "a".repeat(64)].map((nodeName) => ({ nodeName })),
    ...["", "Worker", "admin"].map((role) => ({ role })),
    ...["", "x", "1.2.3", "fe80::1%eth0", "1.2.3.4,5.6.7.8"].map((address) => ({ addresses: [address] })),
    ...["", "v1", "1.36.3", "v2.0.0", "v1.36.3\n"].map((kubeletVersion) => ({ kubeletVersion })),
    { addresses: Array.from({ length: 17 }, () => "192.0.2.7") },
    { clientCsr: new Uint8Array(4097) },
    { servingCsr: new Uint8Array(4097) },
    ...["", "Join", "leave"].map((purpose) => ({ purpose })),
    ...[1, 90, 92].map((length) => ({ identityKey: new Uint8Array(length) })),
  ];
  for (const changes of wrong) {
    const message = JoinRequest.encode({ ...sample, addresses: [...sample.addresses], ...changes }).finish();
    assert.ok(isRefused(message), JSON.stringify(changes, (_, value) => String(value)));
  }
});
