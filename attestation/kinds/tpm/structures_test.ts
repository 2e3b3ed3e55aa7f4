import assert from "node:assert/strict";
import fc from "fast-check";
import { p256, p384 } from "@noble/curves/nist.js";
import { concat, equalBytes, fromHex, hex, randomBytes } from "../../../platform/bytes.ts";
import { filled } from "./testing/tpm.ts";
import { errorOf, flipped } from "../../testing/evidence.ts";
import { decodePayload, encodePayload, type TpmPayload } from "./payload.ts";
import { encodePcrSelection, readPcrSelection } from "./pcr_selection.ts";
import { readPublicArea, spkiOf } from "./public_area.ts";
import { readQuoteInfo } from "./quote_info.ts";
import { isSignedBy, readSignature } from "./signature.ts";
import { ATTESTATION_KEY_TEMPLATE, EK_PROFILES } from "./templates.ts";
import { tpmReader, tpmWriter } from "./wire.ts";

const modulus = concat(Uint8Array.of(0xc1), randomBytes(255));

function eccArea(template: Uint8Array, x: Uint8Array, y: Uint8Array): Uint8Array {
  return tpmWriter().bytes(template).sized16(x).sized16(y).done();
}

function pointOf(curve: typeof p256, bytes: number): [Uint8Array, Uint8Array] {
  const point = curve.getPublicKey(curve.utils.randomSecretKey(), false).subarray(1);
  return [point.subarray(0, bytes), point.subarray(bytes)];
}

Deno.test("readPublicArea() reads each type of key, and WebCrypto imports the result of spkiOf()", async () => {
  const rsa = readPublicArea(tpmWriter().bytes(EK_PROFILES.rsa2048.template).sized16(modulus).done(), "key");
  await crypto.subtle.importKey("spki", spkiOf(rsa.key), { name: "RSA-OAEP", hash: "SHA-256" }, true, ["encrypt"]);
  for (
    const [template, curve, bytes, namedCurve] of [
      [ATTESTATION_KEY_TEMPLATE, p256, 32, "P-256"],
      [EK_PROFILES["ecc-p384"].template, p384, 48, "P-384"],
    ] as const
  ) {
    const [x, y] = pointOf(curve, bytes);
    const area = readPublicArea(eccArea(template, x, y), "key");
    assert.ok(equalBytes(area.template, template));
    const key = await crypto.subtle.importKey("spki", spkiOf(area.key), { name: "ECDH", namedCurve }, true, []);
    assert.ok(equalBytes(new Uint8Array(await crypto.subtle.exportKey("raw", key)), concat(Uint8Array.of(4), x, y)));
  }
});

Deno.test("readPublicArea() accepts coordinates without leading zeros and spkiOf() puts them back", () => {
  for (;;) {
    const [x, y] = pointOf(p256, 32);
    if (x[0] !== 0) continue;
    const short = readPublicArea(eccArea(ATTESTATION_KEY_TEMPLATE, x.subarray(1), y), "key");
    const full = readPublicArea(eccArea(ATTESTATION_KEY_TEMPLATE, x, y), "key");
    assert.ok(equalBytes(spkiOf(short.key), spkiOf(full.key)));
    return;
  }
});

Deno.test("readPublicArea() refuses bytes that are not exactly one key of a known type", async () => {
  const [x, y] = pointOf(p256, 32);
  const ak = hex(ATTESTATION_KEY_TEMPLATE);
  const rsa = hex(EK_PROFILES.rsa2048.template);
  const withPoint = (template: string) => eccArea(fromHex(template, ""), x, y);
  const cases: readonly Uint8Array[] = [
    withPoint(ak.replace(/^0023/, "0008")),
    withPoint(ak.replace(/00030010$/, "00050010")),
    withPoint(ak.replace(/00030010$/, "00030020")),
    withPoint(ak.replace("0018000b", "001a000b")),
    eccArea(ATTESTATION_KEY_TEMPLATE, x, flipped(y, 31)),
    eccArea(ATTESTATION_KEY_TEMPLATE, new Uint8Array(), y),
    eccArea(ATTESTATION_KEY_TEMPLATE, new Uint8Array(32), new Uint8Array(32)),
    eccArea(ATTESTATION_KEY_TEMPLATE, filled(0xff), y),
    eccArea(ATTESTATION_KEY_TEMPLATE, new Uint8Array(31), y),
    concat(eccArea(ATTESTATION_KEY_TEMPLATE, x, y), Uint8Array.of(0)),
    tpmWriter().bytes(fromHex(rsa, "")).sized16(modulus.subarray(1)).done(),
    tpmWriter().bytes(fromHex(rsa, "")).sized16(flipped(modulus, 0, 0x80)).done(),
    tpmWriter().bytes(fromHex(rsa.replace(/080000000000$/, "0c0000000000"), "")).sized16(modulus).done(),
    tpmWriter().bytes(fromHex(rsa.replace(/080000000000$/, "080000000003"), "")).sized16(modulus).done(),
    tpmWriter().bytes(fromHex(rsa.replace("000600800043", "000600c00043"), "")).sized16(modulus).done(),
    new Uint8Array(513),
  ];
  for (const bytes of cases) {
    assert.equal((await errorOf(() => readPublicArea(bytes, "key"))).code, "malformed/tpm", hex(bytes));
  }
});

Deno.test("the readers throw only their own errors when the bytes are arbitrary", async () => {
  const readers = [
    (bytes: Uint8Array) => readPublicArea(bytes, "key"),
    readQuoteInfo,
    readSignature,
    decodePayload,
    (bytes: Uint8Array) => readPcrSelection(tpmReader(bytes, "selection")),
  ];
  const area = eccArea(ATTESTATION_KEY_TEMPLATE, ...pointOf(p256, 32));
  const like = (bytes: Uint8Array) =>
    fc.tuple(fc.nat(bytes.length - 1), fc.integer({ min: 1, max: 255 }), fc.nat(bytes.length))
      .map(([index, mask, length]) => flipped(bytes, index, mask).subarray(0, length));
  const quote = fromHex("ff54434780180000", "");
  await fc.assert(
    fc.asyncProperty(fc.oneof(fc.uint8Array({ maxLength: 300 }), like(area), like(quote)), async (bytes) => {
      for (const read of readers) {
        try {
          read(bytes);
        } catch (error) {
          assert.match((await errorOf(() => Promise.reject(error))).code, /^(malformed|refused)\//);
        }
      }
    }),
  );
});

Deno.test("readSignature() returns r and s in full length, and refuses other schemes, hashes and lengths", async () => {
  const signature = (algorithm: number, hash: number, r: Uint8Array, s: Uint8Array) =>
    tpmWriter().u16(algorithm).u16(hash).sized16(r).sized16(s).done();
  const one = Uint8Array.of(1);
  assert.equal(hex(readSignature(signature(0x18, 0x0b, one, filled(2)))), "00".repeat(31) + "01" + "02".repeat(32));
  const cases: readonly [string, Uint8Array][] = [
    ["refused/signature-algorithm", signature(0x18, 0x04, one, one)],
    ["refused/signature-algorithm", signature(0x1a, 0x0b, one, one)],
    ["refused/signature-algorithm", signature(0x14, 0x0b, one, one)],
    ["malformed/tpm", signature(0x18, 0x0b, new Uint8Array(), one)],
    ["malformed/tpm", signature(0x18, 0x0b, Uint8Array.of(0, 1), one)],
    ["malformed/tpm", signature(0x18, 0x0b, new Uint8Array(33), one)],
    ["malformed/tpm", concat(signature(0x18, 0x0b, one, one), one)],
  ];
  for (const [code, bytes] of cases) assert.equal((await errorOf(() => readSignature(bytes))).code, code);
});

Deno.test("isSignedBy() accepts a signature in both halves of s, and no other", async () => {
  const keys = await crypto.subtle.generateKey({ name: "ECDSA", namedCurve: "P-256" }, true, ["sign", "verify"]);
  const spki = new Uint8Array(await crypto.subtle.exportKey("spki", keys.publicKey));
  const message = randomBytes(100);
  const raw = new Uint8Array(await crypto.subtle.sign({ name: "ECDSA", hash: "SHA-256" }, keys.privateKey, message));
  const order = p256.Point.Fn.ORDER;
  const other = (order - BigInt(`0x${hex(raw.subarray(32))}`)).toString(16).padStart(64, "0");
  const mirrored = concat(raw.subarray(0, 32), fromHex(other, "s"));
  assert.ok(await isSignedBy(spki, raw, message));
  assert.ok(await isSignedBy(spki, mirrored, message));
  assert.ok(!await isSignedBy(spki, raw, flipped(message, 0)));
  assert.ok(!await isSignedBy(spki, new Uint8Array(64), message));
  assert.ok(!await isSignedBy(spki, concat(raw.subarray(0, 32), new Uint8Array(32)), message));
});

Deno.test("readPcrSelection() reads what encodePcrSelection() wrote, and refuses too many banks or octets", async () => {
  fc.assert(fc.property(fc.uniqueArray(fc.integer({ min: 0, max: 23 })), (pcrs) => {
    const reader = tpmReader(encodePcrSelection(pcrs), "selection");
    assert.deepEqual(readPcrSelection(reader), [{ hash: 0x0b, pcrs: pcrs.toSorted((a, b) => a - b) }]);
    reader.end();
  }));
  for (const bytes of ["00000011", "00000001000b050000000000", "00000001000b03ffff", "ffffffff"]) {
    const error = await errorOf(() => readPcrSelection(tpmReader(fromHex(bytes, ""), "selection")));
    assert.equal(error.code, "malformed/tpm");
  }
});

const part = (maxLength: number) => fc.uint8Array({ maxLength });
const parts = {
  attestationKey: part(512),
  endorsementKey: part(512),
  certificate: part(4096),
  chain: fc.array(part(4096), { minLength: 1, maxLength: 8 }),
  attest: part(512),
  signature: part(518),
  pcrs: fc.array(fc.uint8Array({ minLength: 32, maxLength: 32 }), { minLength: 16, maxLength: 16 }),
};
const { chain: _chain, ...withoutChain } = parts;
const payloads: fc.Arbitrary<TpmPayload> = fc.oneof(fc.record(withoutChain), fc.record(parts));

Deno.test("decodePayload() reads what encodePayload() wrote, and refuses truncated and longer bytes", async () => {
  await fc.assert(fc.asyncProperty(payloads, fc.double({ min: 0, max: 0.999, noNaN: true }), async (payload, share) => {
    const bytes = encodePayload(payload);
    const plain = (value: TpmPayload) =>
      JSON.stringify(value, (_, entry) => entry instanceof Uint8Array ? hex(entry) : entry);
    assert.equal(plain(decodePayload(bytes)), plain(payload));
    const cut = bytes.subarray(0, Math.floor(bytes.length * share));
    assert.equal((await errorOf(() => decodePayload(cut))).code, "malformed/tpm");
    assert.equal((await errorOf(() => decodePayload(concat(bytes, Uint8Array.of(0))))).code, "malformed/tpm");
  }));
});

Deno.test("decodePayload() refuses other versions and parts that are too long", async () => {
  const empty = new Uint8Array();
  const payload = {
    attestationKey: empty,
    endorsementKey: empty,
    certificate: empty,
    attest: empty,
    signature: empty,
    pcrs: Array(16).fill(filled(0)),
  };
  assert.equal(
    (await errorOf(() => decodePayload(flipped(encodePayload(payload), 1)))).code,
    "malformed/evidence-version",
  );
  assert.deepEqual(
    [...encodePayload(payload).subarray(0, 2)],
    [0, 1],
    "earlier verifiers read evidence without a chain",
  );
  const chained = encodePayload({ ...payload, chain: [empty] });
  assert.deepEqual([...chained.subarray(0, 2)], [0, 2]);
  assert.equal((await errorOf(() => decodePayload(chained.with(8, 0)))).code, "malformed/tpm", "an empty chain");
  const nine = encodePayload({ ...payload, chain: Array(9).fill(empty) });
  assert.equal((await errorOf(() => decodePayload(nine))).code, "malformed/tpm");
  for (
    const [field, maximum] of [["attestationKey", 512], ["certificate", 4096], ["attest", 512], [
      "signature",
      518,
    ]] as const
  ) {
    decodePayload(encodePayload({ ...payload, [field]: new Uint8Array(maximum) }));
    const tooLong = encodePayload({ ...payload, [field]: new Uint8Array(maximum + 1) });
    assert.equal((await errorOf(() => decodePayload(tooLong))).code, "malformed/tpm");
  }
});
