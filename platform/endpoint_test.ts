import assert from "node:assert/strict";
import fc from "fast-check";
import { BootstrapError } from "./errors.ts";
import { endpointText, readEndpoint, readListenAddress } from "./endpoint.ts";

const isUsage = (error: unknown) => error instanceof BootstrapError && error.code === "usage/endpoint";

Deno.test("readEndpoint() gives host and port when the text has a form that people use", () => {
  const cases: readonly [string, string, number][] = [
    ["10.77.0.11:9444", "10.77.0.11", 9444],
    ["[fd00::1]:1", "fd00::1", 1],
    ["Node-1.Example:65535", "node-1.example", 65535],
    ["localhost:80", "localhost", 80],
  ];
  for (const [text, host, port] of cases) assert.deepEqual(readEndpoint(text, "it"), { host, port });
  assert.deepEqual(readEndpoint("node", "it", 9443), { host: "node", port: 9443 });
  assert.deepEqual(readEndpoint("[::1]", "it", 9443), { host: "::1", port: 9443 });
});

Deno.test("readEndpoint() refuses everything else", () => {
  const wrong = [
    ...["", ":", ":1", "a", "a:", "a:0", "a:65536", "a:1:2", "a:-1", "a:1 ", " a:1", "a b:1", "-a:1", "a-:1", "a..b:1"],
    ...[
      "fd00::1:9444",
      "[fd00::1]",
      "[10.0.0.1]:1",
      "[fe80::1%eth0]:1",
      "[]:1",
      "256.1.1.1:1",
      "1.2.3:1",
      "1.2.3.4.5:1",
    ],
    ...["a/b:1", "http://a:1", "a_b:1", `${"a".repeat(64)}:1`, `${"a.".repeat(130)}a:1`, "a:1\n", "ä:1"],
  ];
  for (const text of wrong) assert.throws(() => readEndpoint(text, "it"), isUsage, text);
});

Deno.test("readEndpoint() reads what endpointText() wrote", () => {
  const host = fc.oneof(
    fc.ipV4(),
    fc.ipV6().map((address) => address.toLowerCase()),
    fc.domain().map((name) => name.toLowerCase()),
  );
  fc.assert(fc.property(host, fc.integer({ min: 1, max: 65535 }), (host, port) => {
    assert.deepEqual(readEndpoint(endpointText({ host, port }), "it"), { host, port });
  }));
});

Deno.test("readEndpoint() throws only usage errors whatever the text is", () => {
  fc.assert(fc.property(fc.string({ unit: "binary" }), (text) => {
    try {
      readEndpoint(text, "it");
    } catch (error) {
      assert.ok(isUsage(error));
    }
  }));
});

Deno.test("readListenAddress() refuses a name", () => {
  assert.deepEqual(readListenAddress("[::]:9443", "it"), { host: "::", port: 9443 });
  assert.throws(() => readListenAddress("localhost:9443", "it"), isUsage);
});
