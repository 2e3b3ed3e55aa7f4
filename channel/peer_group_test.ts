import assert from "node:assert/strict";
import { peerGroup, peerLink } from "./peer_group.ts";

Deno.test("peerGroup() returns one group per /24 network of IPv4 and per /48 network of IPv6", () => {
  assert.equal(peerGroup("192.0.2.7:9443"), "192.0.2");
  assert.equal(peerGroup("192.0.2.7:1"), peerGroup("::ffff:192.0.2.250:2"));
  assert.notEqual(peerGroup("192.0.2.7:9443"), peerGroup("192.0.3.7:9443"));
  assert.equal(peerGroup("2001:db8:0:1::1:9443"), "2001:db8:0");
  assert.equal(peerGroup("2001:db8::1:aaaa:bbbb:cccc:dddd:9443"), peerGroup("2001:0db8:0:2::2:80"));
  assert.notEqual(peerGroup("2001:db8:0:1::1:9443"), peerGroup("2001:db8:1:1::1:9443"));
  assert.equal(peerGroup("fe80::1%eth0:9443"), "fe80:0:0");
  assert.equal(peerGroup("[::1]:9443"), "0:0:0");
  assert.equal(peerGroup("undefined:undefined"), "undefined:undefined", "what is no address is a group of its own");
});

Deno.test("peerLink() returns an IPv4 address or a /64 network of IPv6", () => {
  assert.equal(peerLink("192.0.2.7:9443"), "192.0.2.7");
  assert.equal(peerLink("192.0.2.7:1"), peerLink("::ffff:192.0.2.7:2"));
  assert.equal(peerLink("2001:db8:0:1::1:9443"), "2001:db8:0:1");
  assert.notEqual(peerLink("2001:db8:0:1::1:9443"), peerLink("2001:db8:0:2::1:9443"));
});
