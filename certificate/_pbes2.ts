/**
 * Private keys encrypted with a passphrase: PKCS#8 with PBES2 (RFC 8018, A.4) and AES-256-CBC. The key of the cipher is
 * derived by scrypt (RFC 7914, 7). Files with PBKDF2 and HMAC-SHA-256, which earlier versions wrote, are still read.
 *
 * @module
 */
import { scrypt } from "node:crypto";
import type { Bytes } from "../platform/bytes.ts";
import { copyOf, hex, randomBytes, utf8 } from "../platform/bytes.ts";
import { BootstrapError } from "../platform/errors.ts";
import type { DerReader } from "./der.ts";
import { derError, readDer, TAG } from "./der.ts";
import { derAlgorithm, derNumber, derOctets, derSequence } from "./der_writer.ts";

const OID = Object.freeze({
  pbes2: "1.2.840.113549.1.5.13",
  scrypt: "1.3.6.1.4.1.11591.4.11",
  pbkdf2: "1.2.840.113549.1.5.12",
  hmacWithSha256: "1.2.840.113549.2.9",
  aes256Cbc: "2.16.840.1.101.3.4.1.42",
});
/**
 * One of the settings of OWASP's Password Storage Cheat Sheet, which count as equally strong. It takes 16 MiB, and about
 * 0.3 s. OpenSSL reads no file that takes more than 32 MiB.
 */
const SCRYPT: Scrypt = Object.freeze({ cost: 2 ** 14, blockSize: 8, parallelization: 5 });
/** What a file may ask for. Beyond it, reading would only be slow. */
const MAXIMUM_SCRYPT_BYTES = 2 ** 28;
const MAXIMUM_SCRYPT_BLOCK_SIZE = 64;
const MAXIMUM_SCRYPT_PARALLELIZATION = 64;
const MAXIMUM_SCRYPT_WORK = 2 ** 31;
/** A higher count would only slow the reader down. OpenSSL writes 2,048. */
const MAXIMUM_ITERATIONS = 10_000_000;
const KEY_BYTES = 32;
const SALT_BYTES = 16;
const IV_BYTES = 16;
const MAXIMUM_BYTES = 8192;

/** N, r and p of RFC 7914. */
interface Scrypt {
  readonly cost: number;
  readonly blockSize: number;
  readonly parallelization: number;
}

/** How the key of the cipher comes from the passphrase. */
type Kdf = { readonly salt: Bytes } & (Scrypt | { readonly iterations: number });

/** Encrypts a PKCS#8 key into an EncryptedPrivateKeyInfo, DER. */
export async function encryptPrivateKey(pkcs8: Bytes, passphrase: string): Promise<Bytes> {
  const salt = randomBytes(SALT_BYTES);
  const iv = randomBytes(IV_BYTES);
  const key = await deriveKey(passphrase, { salt, ...SCRYPT }, "encrypt");
  const encrypted = new Uint8Array(await crypto.subtle.encrypt({ name: "AES-CBC", iv }, key, pkcs8));
  const numbers = [SCRYPT.cost, SCRYPT.blockSize, SCRYPT.parallelization, KEY_BYTES];
  const kdf = derAlgorithm(OID.scrypt, derSequence(derOctets(salt), ...numbers.map(derNumber)));
  const cipher = derAlgorithm(OID.aes256Cbc, derOctets(iv));
  return derSequence(derAlgorithm(OID.pbes2, derSequence(kdf, cipher)), derOctets(encrypted));
}

/**
 * Decrypts the PKCS#8 key in an EncryptedPrivateKeyInfo.
 *
 * @throws {BootstrapError} `usage/passphrase` if the passphrase is wrong, `malformed/der` for another suite.
 */
export async function decryptPrivateKey(der: Uint8Array, what: string, passphrase: string): Promise<Bytes> {
  const info = readDer(der, what, MAXIMUM_BYTES).inside();
  const { kdf, iv } = readScheme(info, what);
  const encrypted = info.octets();
  info.end();
  const key = await deriveKey(passphrase, kdf, "decrypt");
  try {
    const pkcs8 = new Uint8Array(await crypto.subtle.decrypt({ name: "AES-CBC", iv }, key, encrypted));
    // One wrong passphrase in 256 leaves valid padding, but the result is hardly a SEQUENCE of exactly this length.
    readDer(pkcs8, what);
    return pkcs8;
  } catch {
    throw new BootstrapError("usage/passphrase", `Cannot read "${what}" as the passphrase is wrong`);
  }
}

function readScheme(info: DerReader, what: string): { kdf: Kdf; iv: Bytes } {
  const scheme = info.inside();
  expectOid(scheme, OID.pbes2, what);
  const parameters = scheme.inside();
  scheme.end();
  const kdf = readKdf(parameters.inside(), what);
  const cipher = parameters.inside();
  expectOid(cipher, OID.aes256Cbc, what);
  const iv = cipher.octets();
  cipher.end();
  parameters.end();
  if (iv.length !== IV_BYTES) throw suiteError(what);
  return { kdf, iv };
}

function readKdf(kdf: DerReader, what: string): Kdf {
  const oid = kdf.oid();
  const parameters = kdf.inside();
  kdf.end();
  const salt = parameters.octets();
  if (oid === OID.scrypt) return { salt, ...readScrypt(parameters, what) };
  if (oid !== OID.pbkdf2) throw suiteError(what);
  const iterations = parameters.small(MAXIMUM_ITERATIONS);
  // The length of the key may be left out. Without a function, it is HMAC-SHA-1.
  if (parameters.next(TAG.integer) && parameters.small(KEY_BYTES) !== KEY_BYTES) throw suiteError(what);
  if (parameters.atEnd || hex(parameters.element().bytes) !== "300c06082a864886f70d02090500") throw suiteError(what);
  parameters.end();
  if (iterations === 0) throw suiteError(what);
  return { salt, iterations };
}

function readScrypt(parameters: DerReader, what: string): Scrypt {
  const cost = parameters.small(MAXIMUM_SCRYPT_BYTES);
  const blockSize = parameters.small(MAXIMUM_SCRYPT_BLOCK_SIZE);
  const parallelization = parameters.small(MAXIMUM_SCRYPT_PARALLELIZATION);
  // The length of the key may be left out.
  if (!parameters.atEnd && parameters.small(KEY_BYTES) !== KEY_BYTES) throw suiteError(what);
  parameters.end();
  const isPowerOfTwo = cost > 1 && Number.isInteger(Math.log2(cost));
  if (!isPowerOfTwo || blockSize === 0 || parallelization === 0) throw suiteError(what);
  const bytes = 128 * cost * blockSize;
  if (bytes > MAXIMUM_SCRYPT_BYTES || bytes * parallelization > MAXIMUM_SCRYPT_WORK) {
    throw derError(what, "its scrypt takes more memory or time than any file should need");
  }
  return { cost, blockSize, parallelization };
}

async function deriveKey(passphrase: string, kdf: Kdf, usage: "encrypt" | "decrypt"): Promise<CryptoKey> {
  if ("cost" in kdf) {
    const raw = await runScrypt(passphrase, kdf);
    try {
      return await crypto.subtle.importKey("raw", raw, "AES-CBC", false, [usage]);
    } finally {
      raw.fill(0);
    }
  }
  const base = await crypto.subtle.importKey("raw", utf8(passphrase), "PBKDF2", false, ["deriveKey"]);
  const parameters = { name: "PBKDF2", hash: "SHA-256", salt: kdf.salt, iterations: kdf.iterations };
  const cipher = { name: "AES-CBC", length: 8 * KEY_BYTES };
  return await crypto.subtle.deriveKey(parameters, base, cipher, false, [usage]);
}

function runScrypt(passphrase: string, { salt, cost, blockSize, parallelization }: Kdf & Scrypt): Promise<Bytes> {
  const options = { cost, blockSize, parallelization, maxmem: 2 * MAXIMUM_SCRYPT_BYTES };
  return new Promise((resolve, reject) => {
    scrypt(utf8(passphrase), salt, KEY_BYTES, options, (error, key) => error ? reject(error) : resolve(copyOf(key)));
  });
}

function expectOid(reader: DerReader, oid: string, what: string): void {
  if (reader.oid() !== oid) throw suiteError(what);
}

function suiteError(what: string): BootstrapError {
  return derError(what, "it is not encrypted with PBES2, AES-256-CBC, and scrypt or PBKDF2 with HMAC-SHA-256");
}
