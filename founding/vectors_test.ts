/*
 * A whole exchange between two founders, with fixed keys and nonces. The vectors were made by another program, with
 * Python's hashlib and cryptography, from the definitions alone:
 *
 *   from hashlib import sha256
 *   from struct import pack
 *   from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
 *   from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
 *   H = lambda *x: sha256(b"".join(x)).digest()
 *   LP = lambda x: pack(">I", len(x)) + x
 *   u32 = lambda n: pack(">I", n)
 *   fill = lambda n, length=32: bytes([n]) * length
 *   label = b"bootstrapper/1"
 *   def varint(n):
 *     out = b""
 *     while n > 127: out += bytes([n & 127 | 128]); n >>= 7
 *     return out + bytes([n])
 *   by = lambda number, x: varint(number << 3 | 2) + varint(len(x)) + x if x else b""
 *   num = lambda number, n: varint(number << 3) + varint(n)
 *   token = Ed25519PrivateKey.from_private_bytes(fill(9))
 *   spki = token.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
 *   signed = lambda tag, x: token.sign(label + b"\0" + tag + b"\0" + x)
 *   cb, nc, ns, policy, op = fill(1), fill(2), fill(3), fill(4), bytes(range(44))
 *   d12 = H(label, b"trust", LP(b"demo"), LP(b""), LP(b"snp,tpm"), LP(b"allowUnmeasuredImage"), u32(1), LP(op),
 *     LP(b"founding"), LP(u32(3)), LP(policy), LP(spki))
 *   trust = by(1, b"demo") + by(3, b"snp") + by(3, b"tpm") + by(4, b"allowUnmeasuredImage") + by(5, op) + num(6, 3) + by(7, policy) + by(8, spki)
 *   hello = lambda nonce, signature, instance: by(1, nonce) + by(2, trust) + by(3, signature) + by(4, instance)
 *   hello_c = hello(nc, signed(b"found-c", H(LP(cb), LP(nc))), fill(5, 16))
 *   hello_s = hello(ns, signed(b"found-s", H(LP(cb), LP(nc), LP(ns))), fill(6, 16))
 *   cert_c, cert_s = fill(0xcc, 300), fill(0xdd, 300)
 *   entry = lambda identity, name, address, cert: by(1, identity) + by(2, name) + by(3, address) + by(4, cert)
 *   entry_c = entry(b"ab" * 32, b"cp-1", b"192.0.2.1:9444", cert_c)
 *   card_c = by(1, b"cp-1") + by(2, b"192.0.2.1:9444") + num(3, 1767225600000) + num(4, 1) + by(5, fill(5, 16)) + by(6, b"meeting") + by(8, b"no image") + by(9, entry_c)
 *   card_s = by(1, b"cp-2") + by(2, b"[2001:db8::2]:9444") + num(3, 1767225600001) + num(4, 7) + by(5, fill(6, 16)) + by(6, b"pledged") + by(7, fill(8)) + by(9, entry_c) + by(10, by(1, fill(7)) + by(2, fill(8, 64)))
 *   a1 = H(label, b"found", LP(cb), LP(nc), LP(ns), LP(d12))
 *   bc = H(label, b"founder-c", LP(a1), LP(cert_c), LP(H(card_c)))
 *   bs = H(label, b"founder-s", LP(bc), LP(cert_s), LP(H(card_s)))
 */
import assert from "node:assert/strict";
import type { Bytes } from "../platform/bytes.ts";
import { hex, sha256 } from "../platform/bytes.ts";
import { FounderCard, FoundHello } from "../proto/gen/bootstrapper.ts";
import { verify } from "../protocol/signature.ts";
import {
  foundA1,
  foundClientStatement,
  founderClientStatement,
  founderServerStatement,
  foundServerStatement,
  rosterDigest,
  rosterEntryBytes,
  trustDigest,
} from "../protocol/transcript.ts";
import { fixedKeys } from "../tests/fuzz/_keys.ts";
import type { Founder } from "./founder.ts";
import { makeHello, makeStatement } from "./statement.ts";
import type { FounderTrust } from "./trust_comparison.ts";

const fill = (value: number, length = 32): Bytes => new Uint8Array(length).fill(value);
const token = await fixedKeys("ed25519", 9);
const keys = await fixedKeys("p-256", 8);
const [binding, clientNonce, serverNonce] = [fill(1), fill(2), fill(3)];
const trust: FounderTrust = {
  clusterName: "demo",
  clusterId: new Uint8Array(),
  operatorKeys: [Uint8Array.from({ length: 44 }, (_, index) => index)],
  variants: ["tpm", "snp"],
  switches: ["allowUnmeasuredImage"],
  founding: { size: 3, policyDigest: fill(4), tokenKey: token.spki },
};
const [clientCertificate, serverCertificate] = [fill(0xcc, 300), fill(0xdd, 300)];
const entry = {
  identity: "ab".repeat(32),
  name: "cp-1",
  address: "192.0.2.1:9444",
  certificate: clientCertificate,
};
const clientCard: Bytes = Uint8Array.from(
  FounderCard.encode({
    ...{ name: "cp-1", address: "192.0.2.1:9444", timeMs: 1_767_225_600_000n, serial: 1n, instance: fill(5, 16) },
    ...{ state: "meeting", clusterId: new Uint8Array(), hindrances: ["no image"], view: [entry], pledges: [] },
  }).finish(),
);
const serverCard: Bytes = Uint8Array.from(
  FounderCard.encode({
    ...{ name: "cp-2", address: "[2001:db8::2]:9444", timeMs: 1_767_225_600_001n, serial: 7n, instance: fill(6, 16) },
    ...{ state: "pledged", clusterId: fill(8), hindrances: [], view: [entry] },
    pledges: [{ keyDigest: fill(7), signature: fill(8, 64) }],
  }).finish(),
);

/** What the vectors need of a founder. */
function founder(instance: Bytes, certificate: Bytes): Founder {
  return { trust, token, instance, key: { keys, certificate } } as unknown as Founder;
}

async function assertDigest(bytes: Uint8Array, digest: string): Promise<void> {
  assert.equal(hex(await sha256(bytes)), digest);
}

Deno.test("a whole exchange between two founders has these bytes", async () => {
  const [client, server] = [founder(fill(5, 16), clientCertificate), founder(fill(6, 16), serverCertificate)];
  const digest = await trustDigest(trust);
  assert.equal(hex(digest), "378b34e039b2932b842a50f00d56d87a777f3ca21e0aeb27a824f9299bb44080");
  // Steps 1 and 2.
  const one = await makeHello(client, clientNonce, "found-c", () => foundClientStatement(binding, clientNonce));
  await assertDigest(
    FoundHello.encode(one).finish(),
    "e4b9fb5e7b74a111d231d4290b8a15eee921da5228bb8619e977b4e9380bb2cd",
  );
  const statement = () => foundServerStatement(binding, clientNonce, serverNonce);
  const two = await makeHello(server, serverNonce, "found-s", statement);
  await assertDigest(
    FoundHello.encode(two).finish(),
    "5866054598d9a2ff308c679b8a955ac617f1eab404cd881106b24a58650992de",
  );
  const a1 = await foundA1({ binding, clientNonce, serverNonce, trustDigest: digest });
  assert.equal(hex(a1), "752b9ee8eec254607d111badd424bc2e2639903375d414b7a4be3f119383d101");
  // Step 3.
  await assertDigest(clientCard, "284a6cd24282bf80f397f930b05537c893f56fc6cc5e07263ca8374f07f824b7");
  const bc = await founderClientStatement(a1, { certificate: clientCertificate, card: clientCard });
  assert.equal(hex(bc), "7cb0d72d9da2b84483778554508b059d2edb4f32ccfe07de11064ef8f982330c");
  const three = await makeStatement(client, clientCard, bc, "s");
  assert.equal(
    hex(three.tokenSignature),
    "234e85e5fc16df94be547e85e84c11cfa5634e16b54704b8c95a5c15455dda1b" +
      "5964a713dd48cc813168111a5c18dfd794e52508ac17db21121be5f3dbf8dd09",
  );
  await verify(keys.spki, "founder", bc, three.signature);
  // Step 5.
  await assertDigest(serverCard, "667452f14604c77aa4b89f6656c3ca7f8fbf5b31645dac9d2681819b486c7796");
  const bs = await founderServerStatement(bc, { certificate: serverCertificate, card: serverCard });
  assert.equal(hex(bs), "14e19b369576c0a32440c99afed1adcbb4d3430fb634bbcecb6690df6aaacb0b");
  const five = await makeStatement(server, serverCard, bs, "c");
  assert.equal(
    hex(five.tokenSignature),
    "fa1d1daa60cae87cc8bdae6deac2632169c7cd4846fd88de7cede039c5c1a3e1" +
      "7d075e250ac1b943c5ba2794594cae85a2102ce678e6e94bab35e6a8295cde0f",
  );
  await verify(keys.spki, "founder", bs, five.signature);
  // R of a roster of one.
  const r = await rosterDigest(digest, [rosterEntryBytes(entry)]);
  assert.equal(hex(r), "dbbeeb62278cbe476b18c4361a83b3595e4d21421330f5950a0097674d08e28c");
});
