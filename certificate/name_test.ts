import assert from "node:assert/strict";
import { utf8 } from "../platform/bytes.ts";
import { assertRefused, element } from "./testing/certificates.ts";
import { readDer } from "./der.ts";
import { ATTRIBUTE, nameText, readName, sameAttributes } from "./name.ts";

const CN = Uint8Array.of(0x06, 3, 0x55, 4, 3);
const O = Uint8Array.of(0x06, 3, 0x55, 4, 10);
const attribute = (oid: Uint8Array, text: string, tag = 0x0c) => element(0x30, oid, element(tag, utf8(text)));
const rdn = (...attributes: Uint8Array[]) => element(0x31, ...attributes);
const read = (der: Uint8Array, order?: "any") => readName(readDer(der, "name"), "name", order);

Deno.test("readName() returns attributes in order, with those of one RDN adjacent", () => {
  const der = element(0x30, rdn(attribute(O, "a"), attribute(O, "b")), rdn(attribute(CN, "c", 0x13)));
  const name = read(der);
  assert.deepEqual(name.attributes.map(({ value }) => value), ["a", "b", "c"]);
  assert.deepEqual(name.der, der);
  assert.equal(nameText(name.attributes), "O=a, O=b, CN=c");
});

Deno.test("readName() reads an empty name", () => {
  assert.deepEqual(read(element(0x30)).attributes, []);
  assert.equal(nameText([]), "(empty)");
});

Deno.test("readName() refuses attributes of one RDN when they are not in order, except for vendors", async () => {
  const der = element(0x30, rdn(attribute(O, "b"), attribute(O, "a")));
  await assertRefused(() => read(der), "malformed/der");
  assert.equal(read(der, "any").attributes.length, 2);
});

for (
  const [name, der] of [
    ["an RDN is empty", element(0x30, rdn())],
    ["an attribute has no value", element(0x30, rdn(element(0x30, CN)))],
    ["an attribute has two values", element(0x30, rdn(element(0x30, CN, element(0x0c), element(0x0c))))],
    ["a value is not a text", element(0x30, rdn(element(0x30, CN, element(0x04))))],
    ["an attribute is not a SEQUENCE", element(0x30, rdn(CN))],
    ["there are 33 attributes", element(0x30, ...Array.from({ length: 33 }, () => rdn(attribute(CN, "a"))))],
  ] as const
) {
  Deno.test(`readName() refuses a name when ${name}`, async () => {
    await assertRefused(() => read(der), "malformed/der");
  });
}

Deno.test("sameAttributes() compares exactly, in any order", () => {
  const [o, p, cn] = [["organization", "a"], ["organization", "b"], ["commonName", "c"]].map(([key, value = ""]) => ({
    oid: key === "organization" ? ATTRIBUTE.organization : ATTRIBUTE.commonName,
    value,
  }));
  assert.ok(o !== undefined && p !== undefined && cn !== undefined);
  assert.equal(sameAttributes([o, cn], [cn, o]), true);
  assert.equal(sameAttributes([o, cn], [o, cn, p]), false);
  assert.equal(sameAttributes([o, o, cn], [o, cn, cn]), false);
  assert.equal(sameAttributes([o], [p]), false);
  assert.equal(sameAttributes([{ oid: cn.oid, value: "a" }], [o]), false);
  assert.equal(sameAttributes([{ ...cn, value: "C" }], [cn]), false);
  assert.equal(sameAttributes([], []), true);
});

Deno.test("nameText() writes the attributes of places by the names that policies have for them", () => {
  assert.equal(nameText([{ oid: "2.5.4.6", value: "XX" }, { oid: "2.5.4.8", value: "YY" }]), "C=XX, ST=YY");
});
