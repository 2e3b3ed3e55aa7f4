/**
 * Private keys encrypted with a passphrase: PKCS#8 with PBES2 (RFC 8018, A.4). One suite is written and read.
 *
 * @module
 */
import * as asn1js from "asn1js";
import type { Bytes } from "../platform/bytes.ts";
import { hex, randomBytes, utf8 } from "../platform/bytes.ts";
import { BootstrapError } from "../platform/errors.ts";
import type { DerReader } from "./der.ts";
import { derError, readDer } from "./der.ts";

const OID = Object.freeze({
  pbes2: "1.2.840.113549.1.5.13",
  pbkdf2: "1.2.840.113549.1.5.12",
  hmacWithSha256: "1.2.840.113549.2.9",
  aes256Cbc: "2.16.840.1.101.3.4.1.42",
});
/** OWASP's recommendation of 2023 for PBKDF2 with HMAC-SHA-256; takes about 70 ms. */
const ITERATIONS = 600_000;
/** A higher count would only slow the reader down. OpenSSL writes 2,048. */
const MAXIMUM_ITERATIONS = 10_000_000;
const SALT_BYTES = 16;
const IV_BYTES = 16;
const MAXIMUM_BYTES = 8192;

/** Encrypts a PKCS#8 key into an EncryptedPrivateKeyInfo, DER. */
export async function encryptPrivateKey(pkcs8: Bytes, passphrase: string): Promise<Bytes> {
  const salt = randomBytes(SALT_BYTES);
  const iv = randomBytes(IV_BYTES);
  const key = await deriveKey(passphrase, salt, ITERATIONS, "encrypt");
  const encrypted = await crypto.subtle.encrypt({ name: "AES-CBC", iv }, key, pkcs8);
  const prf = algorithm(OID.hmacWithSha256, new asn1js.Null());
  const kdf = algorithm(
    OID.pbkdf2,
    new asn1js.Sequence({
      value: [new asn1js.OctetString({ valueHex: salt.buffer }), new asn1js.Integer({ value: ITERATIONS }), prf],
    }),
  );
  const cipher = algorithm(OID.aes256Cbc, new asn1js.OctetString({ valueHex: iv.buffer }));
  const scheme = algorithm(OID.pbes2, new asn1js.Sequence({ value: [kdf, cipher] }));
  const info = new asn1js.Sequence({ value: [scheme, new asn1js.OctetString({ valueHex: encrypted })] });
  return new Uint8Array(info.toBER());
}

/**
 * Decrypts the PKCS#8 key in an EncryptedPrivateKeyInfo.
 *
 * @throws {BootstrapError} `usage/passphrase` if the passphrase is wrong, `malformed/der` for another suite.
 */
export async function decryptPrivateKey(der: Uint8Array, what: string, passphrase: string): Promise<Bytes> {
  const info = readDer(der, what, MAXIMUM_BYTES).inside();
  const { salt, iterations, iv } = readScheme(info, what);
  const encrypted = info.octets();
  info.end();
  const key = await deriveKey(passphrase, salt, iterations, "decrypt");
  try {
    const pkcs8 = new Uint8Array(await crypto.subtle.decrypt({ name: "AES-CBC", iv }, key, encrypted));
    // One wrong passphrase in 256 leaves valid padding, but the result is hardly a SEQUENCE of exactly this length.
    readDer(pkcs8, what);
    return pkcs8;
  } catch {
    throw new BootstrapError("usage/passphrase", `Cannot read "${what}" as the passphrase is wrong`);
  }
}

function readScheme(info: DerReader, what: string): { salt: Bytes; iterations: number; iv: Bytes } {
  const scheme = info.inside();
  expectOid(scheme, OID.pbes2, what);
  const parameters = scheme.inside();
  scheme.end();
  const kdf = parameters.inside();
  expectOid(kdf, OID.pbkdf2, what);
  const pbkdf2 = kdf.inside();
  kdf.end();
  const salt = pbkdf2.octets();
  const iterations = pbkdf2.small(MAXIMUM_ITERATIONS);
  if (hex(pbkdf2.element().bytes) !== "300c06082a864886f70d02090500") throw suiteError(what);
  pbkdf2.end();
  const cipher = parameters.inside();
  expectOid(cipher, OID.aes256Cbc, what);
  const iv = cipher.octets();
  cipher.end();
  parameters.end();
  if (iv.length !== IV_BYTES || iterations === 0) throw suiteError(what);
  return { salt, iterations, iv };
}

async function deriveKey(
  passphrase: string,
  salt: Bytes,
  iterations: number,
  usage: "encrypt" | "decrypt",
): Promise<CryptoKey> {
  const base = await crypto.subtle.importKey("raw", utf8(passphrase), "PBKDF2", false, ["deriveKey"]);
  const parameters = { name: "PBKDF2", hash: "SHA-256", salt, iterations };
  return await crypto.subtle.deriveKey(parameters, base, { name: "AES-CBC", length: 256 }, false, [usage]);
}

function expectOid(reader: DerReader, oid: string, what: string): void {
  if (reader.oid() !== oid) throw suiteError(what);
}

function suiteError(what: string): BootstrapError {
  return derError(what, "it is not encrypted with PBES2, PBKDF2 with HMAC-SHA-256 and AES-256-CBC");
}

function algorithm(oid: string, parameters: asn1js.Sequence | asn1js.OctetString | asn1js.Null): asn1js.Sequence {
  return new asn1js.Sequence({ value: [new asn1js.ObjectIdentifier({ value: oid }), parameters] });
}
