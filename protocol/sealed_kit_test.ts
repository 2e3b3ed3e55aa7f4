import assert from "node:assert/strict";
import { createHash, createHmac } from "node:crypto";
import { gcm } from "@noble/ciphers/aes.js";
import { x25519 } from "@noble/curves/ed25519.js";
import * as fc from "fast-check";
import { LABEL } from "./transcript.ts";
import type { Bytes } from "../platform/bytes.ts";
import { concat, copyOf, fromHex, hex, randomBytes, utf8 } from "../platform/bytes.ts";
import { ControlPlaneKit as KitMessage } from "../proto/gen/bootstrapper.ts";
import { newKit, newSealingKeys } from "./testing/kit.ts";
import { encodeControlPlaneKit, MAXIMUM_KIT_BYTES } from "./control_plane_kit.ts";
import { KIT_DIRECTION, openKit, sealKit } from "./sealed_kit.ts";

/** DHKEM(X25519, HKDF-SHA256); with HKDF-SHA256 and AES-256-GCM (RFC 9180, 7). */
const KEM_ID = concat(utf8("KEM"), fromHex("0020", "KEM"));
const SUITE_ID = concat(utf8("HPKE"), fromHex("0020" + "0001" + "0002", "suite"));
const INFO = concat(LABEL, utf8(KIT_DIRECTION));
const NOTHING = new Uint8Array(0);
const A2 = new Uint8Array(32).fill(7);

const hmac = (key: Uint8Array, ...parts: Uint8Array[]) =>
  copyOf(createHmac("sha256", key).update(concat(...parts)).digest());

function labelledExtract(id: Uint8Array, salt: Uint8Array, label: string, ikm: Uint8Array): Bytes {
  return hmac(salt, utf8("HPKE-v1"), id, utf8(label), ikm);
}

/** Expands to at most 32 bytes, which is one round of HKDF. */
function labelledExpand(id: Uint8Array, key: Uint8Array, label: string, info: Uint8Array, length: number): Bytes {
  const round = hmac(key, Uint8Array.of(0, length), utf8("HPKE-v1"), id, utf8(label), info, Uint8Array.of(1));
  return round.slice(0, length);
}

/** HPKE's base mode, written from RFC 9180 (4.1, 5.1) with other primitives than the program's. */
function otherHpke(shared: Uint8Array, encapsulated: Uint8Array, recipient: Uint8Array, info: Uint8Array) {
  const prk = labelledExtract(KEM_ID, NOTHING, "eae_prk", shared);
  const secretOfKem = labelledExpand(KEM_ID, prk, "shared_secret", concat(encapsulated, recipient), 32);
  const context = concat(
    Uint8Array.of(0),
    labelledExtract(SUITE_ID, NOTHING, "psk_id_hash", NOTHING),
    labelledExtract(SUITE_ID, NOTHING, "info_hash", info),
  );
  const secret = labelledExtract(SUITE_ID, secretOfKem, "secret", NOTHING);
  return {
    key: labelledExpand(SUITE_ID, secret, "key", context, 32),
    nonce: labelledExpand(SUITE_ID, secret, "base_nonce", context, 12),
  };
}

function otherSeal(recipient: Uint8Array, info: Uint8Array, aad: Uint8Array, plaintext: Uint8Array) {
  const { secretKey, publicKey } = x25519.keygen();
  const { key, nonce } = otherHpke(x25519.getSharedSecret(secretKey, recipient), publicKey, recipient, info);
  return { encapsulatedKey: publicKey, ciphertext: gcm(key, nonce, aad).encrypt(plaintext) };
}

/** The test vectors of RFC 9180: base mode, X25519, HKDF-SHA256, AES-256-GCM. */
const VECTOR = {
  info: "4f6465206f6e2061204772656369616e2055726e",
  recipientSecret: "497b4502664cfea5d5af0b39934dac72242a74f8480451e1aee7d6a53320333d",
  recipient: "430f4b9859665145a6b1ba274024487bd66f03a2dd577d7753c68d7d7d00c00c",
  encapsulated: "6c93e09869df3402d7bf231bf540fadd35cd56be14f97178f0954db94b7fc256",
  /** SHAKE128 over a thousand ciphertexts, whose inputs are drawn from SHAKE128, as in the tests of Go's crypto/hpke. */
  accumulated: "1702e73e1e71705faa8241022af1deea",
};

Deno.test("otherHpke() agrees with RFC 9180's vectors", () => {
  const [info, secret, recipient, encapsulated] = [
    ...[VECTOR.info, VECTOR.recipientSecret, VECTOR.recipient, VECTOR.encapsulated].map((text) =>
      fromHex(text, "vector")
    ),
  ] as const;
  assert.ok(info && secret && recipient && encapsulated);
  assert.equal(hex(x25519.getPublicKey(secret)), VECTOR.recipient);
  const { key, nonce } = otherHpke(x25519.getSharedSecret(secret, encapsulated), encapsulated, recipient, info);
  const source = createHash("shake128", { outputLength: 2 * 256 * 1000 }).digest();
  let drawn = 0;
  const draw = () => {
    const length = source[drawn] ?? 0;
    drawn += 1 + length;
    return source.subarray(drawn - length, drawn);
  };
  const sink = createHash("shake128", { outputLength: 16 });
  for (let sequence = 0; sequence < 1000; sequence++) {
    const [aad, plaintext] = [draw(), draw()];
    const counted = copyOf(nonce);
    const view = new DataView(counted.buffer);
    view.setUint32(8, view.getUint32(8) ^ sequence);
    sink.update(gcm(key, counted, aad).encrypt(plaintext));
  }
  assert.equal(sink.digest("hex"), VECTOR.accumulated);
});

Deno.test("openKit() restores the kit that sealKit() sealed, and sealKit() does not change it", async () => {
  const sealing = await newSealingKeys();
  const { kit } = await newKit();
  const before = encodeControlPlaneKit(kit);
  const [one, other] = [await sealKit(sealing.publicKey, A2, kit), await sealKit(sealing.publicKey, A2, kit)];
  assert.deepEqual(await openKit(sealing, A2, one), kit);
  assert.deepEqual(encodeControlPlaneKit(kit), before);
  assert.notDeepEqual(one.encapsulatedKey, other.encapsulatedKey);
  assert.notDeepEqual(one.ciphertext, other.ciphertext);
});

Deno.test("sealKit() seals with RFC 9180's suite, the label and direction, and A2", async () => {
  const { secretKey, publicKey } = x25519.keygen();
  const { kit } = await newKit();
  const { encapsulatedKey, ciphertext } = await sealKit(publicKey, A2, kit);
  const shared = x25519.getSharedSecret(secretKey, encapsulatedKey);
  const { key, nonce } = otherHpke(shared, encapsulatedKey, publicKey, INFO);
  assert.deepEqual(copyOf(gcm(key, nonce, A2).decrypt(ciphertext)), encodeControlPlaneKit(kit));
});

Deno.test("openKit() opens what another HPKE sealed, and refuses another direction, A2 or key", async () => {
  const sealing = await newSealingKeys();
  const { kit } = await newKit();
  const plaintext = encodeControlPlaneKit(kit);
  assert.deepEqual(await openKit(sealing, A2, otherSeal(sealing.publicKey, INFO, A2, plaintext)), kit);
  const infos = [NOTHING, LABEL, utf8(KIT_DIRECTION), concat(LABEL, utf8("control-plane kit, node to service"))];
  for (const info of infos) {
    const sealed = otherSeal(sealing.publicKey, info, A2, plaintext);
    await assert.rejects(openKit(sealing, A2, sealed), { code: "refused/sealed-kit" });
  }
  const sealed = await sealKit(sealing.publicKey, A2, kit);
  for (const a2 of [NOTHING, randomBytes(32), concat(A2, Uint8Array.of(0))]) {
    await assert.rejects(openKit(sealing, a2, sealed), { code: "refused/sealed-kit" });
  }
  const another = await newSealingKeys();
  await assert.rejects(openKit(another, A2, sealed), { code: "refused/sealed-kit" });
  const swapped = { ...sealed, encapsulatedKey: (await sealKit(sealing.publicKey, A2, kit)).encapsulatedKey };
  await assert.rejects(openKit(sealing, A2, swapped), { code: "refused/sealed-kit" });
});

Deno.test("openKit() refuses a kit when any byte of it is changed", async () => {
  const sealing = await newSealingKeys();
  const sealed = await sealKit(sealing.publicKey, A2, (await newKit()).kit);
  for (const field of ["encapsulatedKey", "ciphertext"] as const) {
    for (let index = 0; index < sealed[field].length; index++) {
      const flipped = copyOf(sealed[field]);
      // In the last byte of the key this flips the highest bit, which X25519 itself ignores.
      flipped[index] = (flipped[index] ?? 0) ^ 1 << index % 8;
      await assert.rejects(
        openKit(sealing, A2, { ...sealed, [field]: flipped }),
        { code: "refused/sealed-kit" },
        `${field}, byte ${index}`,
      );
    }
  }
});

Deno.test("openKit() refuses a kit when a field is cut off, longer or of another length", async () => {
  const sealing = await newSealingKeys();
  const sealed = await sealKit(sealing.publicKey, A2, (await newKit()).kit);
  const field = fc.constantFrom("encapsulatedKey" as const, "ciphertext" as const);
  await fc.assert(fc.asyncProperty(field, fc.nat(), fc.uint8Array({ maxLength: 40 }), async (field, cut, more) => {
    const length = cut % (sealed[field].length + 1);
    if (length === sealed[field].length && more.length === 0) return;
    const changed = { ...sealed, [field]: concat(sealed[field].subarray(0, length), more) };
    if (hex(changed[field]) === hex(sealed[field])) return;
    await assert.rejects(openKit(sealing, A2, changed), { code: /^(?:malformed|refused)\/sealed-kit$/ });
  }));
  const ciphertext = new Uint8Array(MAXIMUM_KIT_BYTES + 17);
  await assert.rejects(openKit(sealing, A2, { ...sealed, ciphertext }), { code: "malformed/sealed-kit" });
});

Deno.test("openKit() refuses a kit when its sealed content is malformed", async () => {
  const sealing = await newSealingKeys();
  const plaintext = encodeControlPlaneKit((await newKit()).kit);
  for (const bytes of [Uint8Array.of(0), plaintext.subarray(1), concat(plaintext, Uint8Array.of(0x48, 0))]) {
    const sealed = otherSeal(sealing.publicKey, INFO, A2, bytes);
    await assert.rejects(openKit(sealing, A2, sealed), { code: "malformed/sealed-kit" });
  }
});

/** Points of X25519 with which every shared secret is zero: 0, 1, two of order 8, and p-1, p, p+1. */
const SMALL_ORDER = [
  "00".repeat(32),
  "01" + "00".repeat(31),
  "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
  "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
  "ec" + "ff".repeat(30) + "7f",
  "ed" + "ff".repeat(30) + "7f",
  "ee" + "ff".repeat(30) + "7f",
];

Deno.test("sealKit() and openKit() refuse a public key when it is of small order or another length", async () => {
  const sealing = await newSealingKeys();
  const { kit } = await newKit();
  const sealed = await sealKit(sealing.publicKey, A2, kit);
  for (const point of SMALL_ORDER) {
    // A point with its highest bit set is the same point.
    for (const mask of [0, 0x80]) {
      const key = fromHex(point, "point");
      key[31] = (key[31] ?? 0) | mask;
      await assert.rejects(sealKit(key, A2, kit), { code: "malformed/sealing-key" }, point);
      const changed = { ...sealed, encapsulatedKey: key };
      await assert.rejects(openKit(sealing, A2, changed), { code: "refused/sealed-kit" }, point);
    }
  }
  for (const length of [0, 31, 33, 65]) {
    await assert.rejects(sealKit(new Uint8Array(length).fill(9), A2, kit), { code: "malformed/sealing-key" });
  }
});

Deno.test("sealKit() refuses a kit when it is malformed", async () => {
  const sealing = await newSealingKeys();
  const { kit } = await newKit();
  const keys = { ...kit.keys, etcdCaKey: NOTHING };
  const refusal = { code: "malformed/sealed-kit", details: { field: "etcd_ca_key" } };
  await assert.rejects(sealKit(sealing.publicKey, A2, { ...kit, keys }), refusal);
  assert.equal(KitMessage.decode(encodeControlPlaneKit(kit)).policyDocument, kit.policyDocument);
});
