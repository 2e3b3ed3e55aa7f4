/**
 * Keys that sign certificates: this project's own, and those of CAs that kubeadm or OpenSSL made.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { createPrivateKey, createPublicKey } from "node:crypto";
import type { Bytes } from "../platform/bytes.ts";
import { copyOf, randomBytes } from "../platform/bytes.ts";
import { BootstrapError } from "../platform/errors.ts";
import { readDer } from "./der.ts";
import { derAlgorithm } from "./der_writer.ts";
import type { KeyPairType } from "./keys.ts";
import { SIGN_ALGORITHMS } from "./keys.ts";
import { readPem } from "./pem.ts";
import { PRIVATE_KEY_FORMS, privateKeyLabel } from "./private_key_match.ts";
import { readPublicKey } from "./public_key.ts";

/** The types of keys that may sign certificates. kubeadm makes RSA of 2048 bits by default. */
export type IssuerKeyType = KeyPairType | "p-384" | "rsa";

/** A key that signs certificates. */
export interface IssuerKey {
  readonly type: IssuerKeyType;
  readonly privateKey: CryptoKey;
  /** The public key, SPKI in DER. */
  readonly spki: Bytes;
}

/** How a type of key signs a certificate. */
export interface IssuerAlgorithm {
  /** The AlgorithmIdentifier in the certificate, DER. */
  readonly identifier: Bytes;
  /** WebCrypto's parameters. ECDSA signatures are r ‖ s. */
  readonly parameters: EcdsaParams & EcKeyImportParams | RsaHashedImportParams | { readonly name: "Ed25519" };
}

const NULL = Uint8Array.of(0x05, 0x00);

/** The algorithms by type of key (RFC 8410, 3; RFC 5758, 3.2; RFC 4055, 5). */
export const ISSUER_ALGORITHMS: Readonly<Record<IssuerKeyType, IssuerAlgorithm>> = Object.freeze({
  "ed25519": { identifier: derAlgorithm("1.3.101.112"), parameters: SIGN_ALGORITHMS["ed25519"] },
  "p-256": { identifier: derAlgorithm("1.2.840.10045.4.3.2"), parameters: SIGN_ALGORITHMS["p-256"] },
  "p-384": {
    identifier: derAlgorithm("1.2.840.10045.4.3.3"),
    parameters: { name: "ECDSA", namedCurve: "P-384", hash: "SHA-384" },
  },
  "rsa": {
    identifier: derAlgorithm("1.2.840.113549.1.1.11", NULL),
    parameters: { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256" },
  },
});

/** PKCS#8 of RSA with 8192 bits has 4.7 KiB. */
const MAXIMUM_KEY_BYTES = 5 << 10;
const PROBE_BYTES = 32;

/**
 * Reads the private key of a CA. Nothing can export it again.
 *
 * @param pem One block: PKCS#8, or SEC 1 or PKCS#1, in which kubeadm writes. It is not encrypted.
 * @param what The name of the file, for errors.
 * @throws {BootstrapError} `malformed/pem`, `malformed/base64`, `malformed/der`, `malformed/private-key`;
 *   `refused/key-type` for other keys than P-256, P-384, and RSA of 2048 to 8192 bits. No error reveals the key.
 */
export async function readIssuerKeyPem(pem: string, what: string): Promise<IssuerKey> {
  const label = privateKeyLabel(pem, what) ?? "PRIVATE KEY";
  const der = readPem(pem, label, what);
  try {
    readDer(der, what, MAXIMUM_KEY_BYTES).inside();
    return await importKey(der, PRIVATE_KEY_FORMS[label], what);
  } finally {
    der.fill(0);
  }
}

async function importKey(der: Bytes, form: "pkcs8" | "sec1" | "pkcs1", what: string): Promise<IssuerKey> {
  let pkcs8: Uint8Array<ArrayBuffer> | undefined;
  let spki: Bytes;
  try {
    const secret = createPrivateKey({ key: Buffer.from(der.buffer), format: "der", type: form });
    pkcs8 = copyOf(secret.export({ format: "der", type: "pkcs8" }));
    spki = copyOf(createPublicKey(secret).export({ format: "der", type: "spki" }));
  } catch {
    // The cause may quote the key, so it is dropped.
    throw unusable(what);
  }
  try {
    const { type } = readPublicKey(spki, what);
    if (type === "ed25519" || type === "p-521") throw typeRefusal(what, type);
    const { parameters } = ISSUER_ALGORITHMS[type];
    const privateKey = await crypto.subtle.importKey("pkcs8", pkcs8, parameters, false, ["sign"]);
    const publicKey = await crypto.subtle.importKey("spki", spki, parameters, false, ["verify"]);
    const probe = randomBytes(PROBE_BYTES);
    const signature = await crypto.subtle.sign(parameters, privateKey, probe);
    if (await crypto.subtle.verify(parameters, publicKey, signature, probe)) return { type, privateKey, spki };
  } catch (error) {
    if (error instanceof BootstrapError) throw error;
  } finally {
    pkcs8.fill(0);
  }
  throw unusable(what);
}

function unusable(what: string): BootstrapError {
  return new BootstrapError("malformed/private-key", `Cannot read "${what}" as it is not a usable private key`, {
    details: { field: what },
  });
}

function typeRefusal(what: string, seen: string): BootstrapError {
  const expected = "P-256, P-384, or RSA of 2048 to 8192 bits";
  return new BootstrapError("refused/key-type", `Cannot use the key of "${what}" as it must be ${expected}`, {
    details: { check: "key-type", expected, seen },
  });
}
