import assert from "node:assert/strict";
import { peerGroup } from "./peer_group.ts";

Deno.test("peerGroup() returns one group per IPv4 address and per IPv6 network", () => {
  assert.equal(peerGroup("192.0.2.7:9443"), "192.0.2.7");
  assert.equal(peerGroup("192.0.2.7:1"), peerGroup("::ffff:192.0.2.7:2"));
  assert.notEqual(peerGroup("192.0.2.7:9443"), peerGroup("192.0.2.8:9443"));
  assert.equal(peerGroup("2001:db8:0:1::1:9443"), "2001:db8:0:1");
  assert.equal(peerGroup("2001:db8::1:aaaa:bbbb:cccc:dddd:9443"), peerGroup("2001:0db8:0:1::2:80"));
  assert.notEqual(peerGroup("2001:db8:0:1::1:9443"), peerGroup("2001:db8:0:2::1:9443"));
  assert.equal(peerGroup("fe80::1%eth0:9443"), "fe80:0:0:0");
  assert.equal(peerGroup("[::1]:9443"), "0:0:0:0");
});
