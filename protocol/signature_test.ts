import assert from "node:assert/strict";
import { copyOf, fromHex, randomBytes, utf8 } from "../platform/bytes.ts";
import { assertRefused, bitFlips } from "../certificate/testing/certificates.ts";
import { generateKeyPair, type KeyPair } from "../certificate/keys.ts";
import { sign, verify } from "./signature.ts";

const x = utf8("what is signed");

for (const type of ["ed25519", "p-256"] as const) {
  Deno.test(`verify() accepts a signature of ${type} for its own purpose, bytes and key only`, async () => {
    const [keys, other] = [await generateKeyPair(type), await generateKeyPair(type)];
    const signature = await sign(keys, "hello", x);
    assert.equal(signature.length, 64);
    await verify(keys.spki, "hello", x, signature);
    const error = await assertRefused(() => verify(keys.spki, "request", x, signature), "refused/signature");
    assert.equal(error.details.check, "request-signature");
    await assertRefused(() => verify(keys.spki, "hello", utf8("What is signed"), signature), "refused/signature");
    await assertRefused(() => verify(other.spki, "hello", x, signature), "refused/signature");
    for (const length of [0, 63, 65, 128]) {
      const resized = new Uint8Array(length);
      resized.set(signature.subarray(0, length));
      await assertRefused(() => verify(keys.spki, "hello", x, resized), "refused/signature", `${length} bytes`);
    }
    for (const { flipped, at } of bitFlips(signature)) {
      await assertRefused(() => verify(keys.spki, "hello", x, flipped), "refused/signature", at);
    }
  });

  Deno.test(`verify() refuses a signature of ${type} when any bit of the key is flipped`, async () => {
    const keys = await generateKeyPair(type);
    const signature = await sign(keys, "service", x);
    for (const { flipped, at } of bitFlips(keys.spki)) {
      const refusals = /^(malformed\/(der|public-key)|refused\/(signature|key-type))$/;
      await assertRefused(() => verify(flipped, "service", x, signature), refusals, at);
    }
  });
}

Deno.test("verify() refuses a key when it is neither Ed25519 nor P-256", async () => {
  const types = [
    { name: "ECDSA", namedCurve: "P-384" },
    { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256", modulusLength: 2048, publicExponent: Uint8Array.of(1, 0, 1) },
  ];
  for (const type of types) {
    const keys = await crypto.subtle.generateKey(type, true, ["sign", "verify"]) as CryptoKeyPair;
    const spki = new Uint8Array(await crypto.subtle.exportKey("spki", keys.publicKey));
    await assertRefused(() => verify(spki, "hello", x, randomBytes(64)), "refused/key-type");
  }
});

Deno.test("verify() refuses a key when its point is compressed or not on the curve", async () => {
  const { spki } = await generateKeyPair("p-256");
  const compressed = fromHex(
    "3039301306072a8648ce3d020106082a8648ce3d030107032200" + "02" + spki.slice(27, 59).toHex(),
    "spki",
  );
  await assertRefused(() => verify(compressed, "hello", x, randomBytes(64)), "refused/key-type");
  const off = copyOf(spki);
  off[90] = (off[90] ?? 0) ^ 1;
  await assertRefused(() => verify(off, "hello", x, randomBytes(64)), "malformed/public-key");
});

Deno.test("sign() returns RFC 8032's signature for its first test key", async () => {
  const pkcs8 = fromHex(
    "302e020100300506032b657004220420" + "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
    "key",
  );
  const privateKey = await crypto.subtle.importKey("pkcs8", pkcs8, { name: "Ed25519" }, false, ["sign"]);
  const spki = fromHex(
    "302a300506032b6570032100" + "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
    "spki",
  );
  const keys: KeyPair = { type: "ed25519", privateKey, spki };
  const signature = await sign(keys, "founding", utf8("x"));
  await verify(spki, "founding", utf8("x"), signature);
  assert.equal(
    signature.toHex(),
    "9a95b99503d789a7457a6b7f432d02ec681750cc3ed966fe2cb0ca9b1c25d15210aa48daaddd772416adff49e671b53957b45b8123fdadb9cacb5e77b5447201",
  );
});
