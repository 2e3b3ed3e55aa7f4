import assert from "node:assert/strict";
import fc from "fast-check";
import {
  addressBytes,
  addressText,
  doNetworksOverlap,
  isInNetwork,
  nodeAddressProblem,
  readNetwork,
  unreachableKind,
  unreachablePartOf,
} from "./ip_address.ts";

const hexOf = (text: string) => addressBytes(text)?.toHex();

Deno.test("addressBytes() gives the same bytes for one address, however it is written", () => {
  assert.equal(hexOf("192.0.2.7"), "c0000207");
  for (const text of ["::ffff:192.0.2.7", "::FFFF:c000:207", "0:0:0:0:0:ffff:192.0.2.7"]) {
    assert.equal(hexOf(text), "c0000207", text);
  }
  for (const text of ["2001:db8::7", "2001:0DB8:0:0::0:7", "2001:db8:0:0:0:0:0:7"]) {
    assert.equal(hexOf(text), "20010db8000000000000000000000007", text);
  }
  assert.equal(hexOf("::"), "00".repeat(16));
  assert.equal(hexOf("0:0:0:0:0:0:0:1"), `${"00".repeat(15)}01`);
  assert.equal(hexOf("fd00::"), `fd${"00".repeat(15)}`);
});

Deno.test("addressBytes() returns undefined for a text that is not an address", () => {
  for (
    const text of ["", "x", "1.2.3", "192.0.2.07", "256.0.0.1", "[::1]", "fe80::1%eth0", "1:2", "::1/64", "1.2.3.4 "]
  ) {
    assert.equal(addressBytes(text), undefined, text);
  }
});

Deno.test("addressBytes() reads every address of both families, and never throws", () => {
  fc.assert(fc.property(fc.uint8Array({ minLength: 16, maxLength: 16 }), (bytes) => {
    const groups = bytes.toHex().match(/.{4}/g)?.join(":") ?? "";
    const text = bytes.toHex().startsWith("00000000000000000000ffff") ? bytes.slice(12) : bytes;
    assert.equal(hexOf(groups), text.toHex());
  }));
  fc.assert(fc.property(fc.ipV4(), (text) => assert.equal(addressBytes(text)?.join("."), text)));
  fc.assert(fc.property(fc.ipV6(), (text) => assert.ok([4, 16].includes(addressBytes(text)?.length ?? 0), text)));
  fc.assert(fc.property(fc.string(), (text) => void addressBytes(text)));
});

Deno.test("isInNetwork() compares as many bits as the network has", () => {
  const cases: readonly [address: string, network: string, isIn: boolean][] = [
    ["10.96.0.1", "10.96.0.0/12", true],
    ["10.111.255.255", "10.96.0.0/12", true],
    ["10.112.0.0", "10.96.0.0/12", false],
    ["10.95.255.255", "10.96.0.0/12", false],
    ["::ffff:10.96.0.1", "10.96.0.0/12", true],
    ["192.0.2.7", "0.0.0.0/0", true],
    ["192.0.2.7", "192.0.2.7/32", true],
    ["192.0.2.8", "192.0.2.7/32", false],
    ["fd00:1::5", "fd00:1::/108", true],
    ["fd00:2::5", "fd00:1::/108", false],
    ["10.96.0.1", "::/0", false],
  ];
  for (const [address, network, isIn] of cases) {
    const bytes = addressBytes(address);
    assert.ok(bytes !== undefined);
    assert.equal(isInNetwork(bytes, network), isIn, `${address} in ${network}`);
  }
});

Deno.test("doNetworksOverlap() holds if one network contains the other, in either order", () => {
  const pairs: readonly (readonly [string, string, boolean])[] = [
    ["10.96.0.0/12", "10.96.0.0/12", true],
    ["10.96.0.0/12", "10.100.0.0/16", true],
    ["10.100.7.9/8", "10.96.0.0/12", true],
    ["10.244.0.0/16", "10.96.0.0/12", false],
    ["10.112.0.0/16", "10.96.0.0/12", false],
    ["fd00::/48", "fd00:0:0:1::/64", true],
    ["fd00::/48", "fd00:0:1::/48", false],
    ["0.0.0.0/0", "::/0", false],
  ];
  for (const [one, other, overlap] of pairs) {
    assert.deepEqual([doNetworksOverlap(one, other), doNetworksOverlap(other, one)], [overlap, overlap], one + other);
  }
});

Deno.test("readNetwork() gives each network its only form, and names what is wrong with a text", () => {
  const text = (written: string) => {
    const network = readNetwork(written);
    return typeof network === "string" ? undefined : network.text;
  };
  assert.equal(text("10.244.1.7/16"), "10.244.0.0/16");
  assert.equal(text("FD00:0244::7/56"), "fd00:244::/56");
  assert.equal(text("192.0.2.7/32"), "192.0.2.7/32");
  assert.equal(text("::/0"), "::/0");
  for (
    const wrong of [
      "",
      "10.0.0.0",
      "10.0.0.0/",
      "10.0.0.0/33",
      "10.0.0.0/08",
      "10.0.0.0/8/8",
      "a/8",
      "::ffff:10.0.0.0/104",
    ]
  ) {
    assert.equal(text(wrong), undefined, wrong);
  }
});

Deno.test("readNetwork() contains exactly the addresses that isInNetwork() finds in it", () => {
  const address = fc.oneof(fc.ipV4(), fc.ipV6());
  fc.assert(fc.property(address, fc.nat(128), address, (start, length, other) => {
    const network = readNetwork(`${start}/${length}`);
    if (typeof network === "string") return;
    const bytes = addressBytes(other) ?? new Uint8Array();
    assert.ok(isInNetwork(addressBytes(start) ?? new Uint8Array(), network.text));
    assert.equal(isInNetwork(bytes, network.text), isInNetwork(bytes, `${start}/${length}`));
    assert.ok(doNetworksOverlap(network.text, `${start}/${length}`));
  }));
});

Deno.test("addressText() writes what addressBytes() reads", () => {
  fc.assert(fc.property(fc.oneof(fc.ipV4(), fc.ipV6()), (text) => {
    const bytes = addressBytes(text) ?? new Uint8Array();
    assert.equal(hexOf(addressText(bytes)), bytes.toHex());
  }));
  assert.equal(addressText(addressBytes("FD00:0:0::1") ?? new Uint8Array()), "fd00::1");
});

Deno.test("nodeAddressProblem() takes exactly the addresses that other nodes can reach", () => {
  for (const text of ["10.0.0.1", "fd00::1", "2001:DB8::7"]) assert.equal(nodeAddressProblem(text), undefined, text);
  fc.assert(fc.property(fc.oneof(fc.ipV4(), fc.ipV6()), (text) => {
    const bytes = addressBytes(text) ?? new Uint8Array();
    const isMapped = bytes.length === 4 && text.includes(":");
    assert.equal(nodeAddressProblem(text) === undefined, unreachableKind(bytes) === undefined && !isMapped);
  }));
  fc.assert(fc.property(fc.string(), (text) => {
    assert.ok(nodeAddressProblem(text) !== undefined || addressBytes(text) !== undefined);
  }));
});

Deno.test("unreachablePartOf() finds special addresses in a larger network, and a network within special ones", () => {
  assert.equal(unreachablePartOf("127.4.0.0/16"), "loopback");
  assert.equal(unreachablePartOf("169.0.0.0/8"), "link-local");
  assert.equal(unreachablePartOf("10.0.0.0/8"), undefined);
  assert.equal(unreachablePartOf("fd00::/8"), undefined);
});
