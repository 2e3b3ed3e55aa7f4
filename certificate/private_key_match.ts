/**
 * Private keys of certificates that other programs made, in all forms that Kubernetes reads.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { createPrivateKey, createPublicKey, sign, verify } from "node:crypto";
import { randomBytes } from "../platform/bytes.ts";
import { BootstrapError } from "../platform/errors.ts";
import { pemLabel, readPem } from "./pem.ts";
import { readPublicKey } from "./public_key.ts";

/** The labels of private keys that Kubernetes reads. */
export const PRIVATE_KEY_LABELS = ["PRIVATE KEY", "EC PRIVATE KEY", "RSA PRIVATE KEY"] as const;

/** PKCS#8 (RFC 5958), SEC 1 (RFC 5915) and PKCS#1 (RFC 8017, A.1.2). kubeadm writes the last two. */
export const PRIVATE_KEY_FORMS = {
  "PRIVATE KEY": "pkcs8",
  "EC PRIVATE KEY": "sec1",
  "RSA PRIVATE KEY": "pkcs1",
} as const;
const PROBE_BYTES = 32;

/**
 * Returns the label of a private key that is not encrypted; `undefined` for another label.
 *
 * @throws {BootstrapError} `malformed/pem`.
 */
export function privateKeyLabel(pem: string, what: string): typeof PRIVATE_KEY_LABELS[number] | undefined {
  const seen = pemLabel(pem, what);
  return PRIVATE_KEY_LABELS.find((name) => name === seen);
}

/**
 * Reports whether a private key belongs to a public key, by verifying a signature.
 *
 * @param pem The private key, one block of PEM.
 * @param spki The public key, DER: P-256, P-384, or RSA of 2048 to 8192 bits.
 * @param what The name of the private key's field, for errors.
 * @throws {BootstrapError} `malformed/pem`, `malformed/base64`, `malformed/private-key`, and the errors of
 *   `readPublicKey()`. No error reveals the key.
 */
export function isPrivateKeyOf(pem: string, spki: Uint8Array, what: string): boolean {
  const { type } = readPublicKey(spki, what);
  const label = privateKeyLabel(pem, what);
  if (label === undefined || type === "ed25519") throw unusable(what);
  const der = readPem(pem, label, what);
  try {
    const key = createPrivateKey({ key: Buffer.from(der.buffer), format: "der", type: PRIVATE_KEY_FORMS[label] });
    const publicKey = createPublicKey({ key: Buffer.from(spki), format: "der", type: "spki" });
    const probe = randomBytes(PROBE_BYTES);
    return verify("sha256", probe, publicKey, sign("sha256", probe, key));
  } catch {
    // The cause may quote the key, so it is dropped.
    throw unusable(what);
  } finally {
    der.fill(0);
  }
}

function unusable(what: string): BootstrapError {
  return new BootstrapError("malformed/private-key", `Cannot read "${what}" as it is not a usable private key`, {
    details: { field: what },
  });
}
