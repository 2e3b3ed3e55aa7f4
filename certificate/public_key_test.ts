import assert from "node:assert/strict";
import { concat, fromHex } from "../platform/bytes.ts";
import { assertRefused, bitFlips, element } from "./testing/certificates.ts";
import { generateKeyPair } from "./keys.ts";
import { readPublicKey } from "./public_key.ts";

const nothing = new Uint8Array(0);
const RSA = fromHex("300d06092a864886f70d0101010500", "algorithm");

function rsaSpki(bits: number, exponent = "010001", inKey = nothing, behindKey = nothing): Uint8Array {
  const modulus = new Uint8Array(Math.ceil(bits / 8)).fill(0xff);
  modulus[0] = 0xff >> (8 - (bits % 8 || 8));
  const integer = modulus[0] >= 0x80 ? concat(new Uint8Array(1), modulus) : modulus;
  const key = element(0x30, element(0x02, integer), element(0x02, fromHex(exponent, "exponent")), inKey);
  return element(0x30, RSA, element(0x03, new Uint8Array(1), key), behindKey);
}

Deno.test("readPublicKey() names the type of a key when it is on the list", async () => {
  for (const type of ["ed25519", "p-256"] as const) {
    const { spki } = await generateKeyPair(type);
    assert.deepEqual(readPublicKey(spki, "key"), { type, spki });
  }
  const p384 = await crypto.subtle.generateKey({ name: "ECDSA", namedCurve: "P-384" }, true, ["sign", "verify"]);
  const spki = new Uint8Array(await crypto.subtle.exportKey("spki", p384.publicKey));
  assert.equal(readPublicKey(spki, "key").type, "p-384");
  for (const bits of [2048, 3072, 4096, 8192]) assert.equal(readPublicKey(rsaSpki(bits), "key").type, "rsa");
});

for (
  const [name, spki, seen] of [
    ["RSA of 2047 bits", rsaSpki(2047), "RSA of 2047 bits"],
    ["RSA of 8193 bits", rsaSpki(8193), "RSA of 8193 bits"],
    ["RSA with exponent 3", rsaSpki(2048, "03"), "RSA with exponent 03"],
    ["RSA with exponent 0", rsaSpki(2048, "00"), "RSA with exponent 00"],
  ] as const
) {
  Deno.test(`readPublicKey() refuses ${name}`, async () => {
    assert.equal((await assertRefused(() => readPublicKey(spki, "key"), "refused/key-type")).details.seen, seen);
  });
}

Deno.test("readPublicKey() refuses a key of fixed form when any bit before the point is flipped", async () => {
  for (const [type, prefix] of [["ed25519", 12], ["p-256", 27]] as const) {
    const { spki } = await generateKeyPair(type);
    for (const { flipped, at } of bitFlips(spki.subarray(0, prefix))) {
      const odd = concat(flipped, spki.subarray(prefix));
      await assertRefused(() => readPublicKey(odd, "key"), /^(malformed\/der|refused\/key-type)$/, at);
    }
  }
});

Deno.test("readPublicKey() refuses an RSA key when something follows one of its parts", async () => {
  const more = element(0x05);
  await assertRefused(() => readPublicKey(rsaSpki(2048, "010001", more), "key"), "malformed/der");
  await assertRefused(() => readPublicKey(rsaSpki(2048, "010001", nothing, more), "key"), "malformed/der");
});
