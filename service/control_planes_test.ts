import assert from "node:assert/strict";
import { ownEtcd } from "./control_planes.ts";

Deno.test("ownEtcd() is at the loopback address of the node's family", () => {
  assert.equal(ownEtcd("192.0.2.7"), "127.0.0.1:2379");
  assert.equal(ownEtcd("2001:db8::7"), "[::1]:2379");
});
