import assert from "node:assert/strict";
import { hostAndPort, urlHost } from "./host.ts";

Deno.test("hostAndPort() and urlHost() put brackets around IPv6 addresses, and nothing else", () => {
  assert.equal(urlHost("fd00::1"), "[fd00::1]");
  assert.deepEqual(["a.example", "192.0.2.1", "fd00::1"].map((host) => hostAndPort(host, 6443)), [
    ...["a.example:6443", "192.0.2.1:6443", "[fd00::1]:6443"],
  ]);
});
