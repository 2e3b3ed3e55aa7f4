/**
 * Keys that are the same in every run, so that inputs that were signed once stay valid. They protect nothing.
 *
 * @module
 */
import { p256 } from "@noble/curves/nist.js";
import type { KeyPair, KeyPairType } from "../../certificate/keys.ts";
import { readPrivateKeyPem } from "../../certificate/keys.ts";
import { writePem } from "../../certificate/pem.ts";
import { concat, fromHex } from "../../platform/bytes.ts";

const ED25519_PREFIX = fromHex("302e020100300506032b657004220420", "prefix");
const P256_PREFIX = fromHex("308187020100301306072a8648ce3d020106082a8648ce3d030107046d306b0201010420", "prefix");
const P256_MIDDLE = fromHex("a144034200", "middle");

/** The key pair whose secret consists of 32 bytes of the given value. */
export function fixedKeys(type: KeyPairType, octet: number): Promise<KeyPair> {
  return readPrivateKeyPem(fixedPrivateKeyPem(type, octet), "fixed key");
}

/** The private key of that pair, PKCS#8 in PEM. */
export function fixedPrivateKeyPem(type: KeyPairType, octet: number): string {
  const secret = new Uint8Array(32).fill(octet);
  const pkcs8 = type === "ed25519"
    ? concat(ED25519_PREFIX, secret)
    : concat(P256_PREFIX, secret, P256_MIDDLE, p256.getPublicKey(secret, false));
  return writePem("PRIVATE KEY", pkcs8);
}
