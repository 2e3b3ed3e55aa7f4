/**
 * TPMT_PUBLIC, the public area of a TPM key (TPM 2.0 Part 2, 12.2.4), for the few key types that this program meets.
 *
 * @module
 */
import { p256, p384 } from "@noble/curves/nist.js";
import type { ByteReader } from "../../../platform/byte_reader.ts";
import type { Bytes } from "../../../platform/bytes.ts";
import { concat, copyOf, fromHex, sha256 } from "../../../platform/bytes.ts";
import { ALGORITHM, CURVE, MAXIMUM_DIGEST_BYTES, MAXIMUM_PUBLIC_BYTES } from "./constants.ts";
import { tpmError, tpmReader } from "./wire.ts";

/** An RSA key of 2048 bits with exponent 65537, or a point on P-256 or P-384. */
export type PublicKeyValue =
  | { readonly type: "rsa"; readonly modulus: Bytes }
  | { readonly type: "ecc"; readonly curve: "p256" | "p384"; readonly x: Bytes; readonly y: Bytes };

/** A signing scheme that is fixed in a key. */
export interface Scheme {
  /** TPM_ALG_ID. */
  readonly algorithm: number;
  /** TPM_ALG_ID of its hash. */
  readonly hash: number;
}

/** The public area of a key. */
export interface PublicArea {
  /** The whole public area as received; the key's name is computed from it. */
  readonly bytes: Bytes;
  /** The public area without the key itself: the template that the key was created from. */
  readonly template: Bytes;
  /** TPM_ALG_ID of the hash in the key's name. */
  readonly nameAlgorithm: number;
  /** TPMA_OBJECT. */
  readonly attributes: number;
  /** The signing scheme; `undefined` if the key is not tied to one. */
  readonly scheme: Scheme | undefined;
  readonly key: PublicKeyValue;
}

const CURVES = Object.freeze({
  p256: { bytes: 32, curve: p256, spkiPrefix: fromHex("3059301306072a8648ce3d020106082a8648ce3d03010703420004", "") },
  p384: { bytes: 48, curve: p384, spkiPrefix: fromHex("3076301006072a8648ce3d020106052b8104002203620004", "") },
});
const RSA_BITS = 2048;
const RSA_BYTES = RSA_BITS / 8;
/** SubjectPublicKeyInfo of rsaEncryption with a modulus of 2048 bits, up to the modulus (RFC 3279, 2.3.1). */
const RSA_SPKI_PREFIX = fromHex("30820122300d06092a864886f70d01010105000382010f003082010a02820101", "");
/** 65537, as an INTEGER. */
const RSA_SPKI_SUFFIX = fromHex("0203010001", "");
/** TPMS_RSA_PARMS: 0 means 65537. */
const DEFAULT_EXPONENT = 0;

/**
 * Reads one public area. The bytes must contain nothing else.
 *
 * @param bytes TPMT_PUBLIC, without the length in front of a TPM2B_PUBLIC.
 * @param what The owner of the key, for errors.
 * @throws {BootstrapError} `malformed/tpm`, also for unsupported key types and for points that are not on their curve.
 */
export function readPublicArea(bytes: Uint8Array, what: string): PublicArea {
  if (bytes.length > MAXIMUM_PUBLIC_BYTES) throw tpmError(what, `it is longer than ${MAXIMUM_PUBLIC_BYTES} bytes`);
  const reader = tpmReader(bytes, what);
  const type = reader.u16("type");
  if (type !== ALGORITHM.rsa && type !== ALGORITHM.ecc) throw reader.error(`it is of type ${type.toString(16)}`);
  const nameAlgorithm = reader.u16("nameAlg");
  const attributes = reader.u32("objectAttributes");
  reader.sized16(MAXIMUM_DIGEST_BYTES, "authPolicy");
  readSymmetric(reader);
  const scheme = readScheme(reader);
  const readKey = type === ALGORITHM.rsa ? readRsaDetail(reader) : readEccDetail(reader);
  const template = copyOf(bytes.subarray(0, reader.offset));
  const key = readKey();
  reader.end();
  return { bytes: copyOf(bytes), template, nameAlgorithm, attributes, scheme, key };
}

/** Computes the name of a key whose name algorithm is SHA-256: `000b ‖ SHA-256(TPMT_PUBLIC)`, 34 bytes (Part 1, 16). */
export async function nameOf(publicArea: Uint8Array): Promise<Bytes> {
  return concat(Uint8Array.of(0, ALGORITHM.sha256), await sha256(publicArea));
}

/** The SubjectPublicKeyInfo of a key, DER. Points are uncompressed. */
export function spkiOf(key: PublicKeyValue): Bytes {
  if (key.type === "rsa") return concat(RSA_SPKI_PREFIX, Uint8Array.of(0), key.modulus, RSA_SPKI_SUFFIX);
  return concat(CURVES[key.curve].spkiPrefix, key.x, key.y);
}

/** Reads TPMT_SYM_DEF_OBJECT: none, or AES in CFB mode. */
function readSymmetric(reader: ByteReader): void {
  const algorithm = reader.u16("symmetric algorithm");
  if (algorithm === ALGORITHM.null) return;
  const bits = reader.u16("symmetric keyBits");
  const mode = reader.u16("symmetric mode");
  const isKnown = algorithm === ALGORITHM.aes && (bits === 128 || bits === 256) && mode === ALGORITHM.cfb;
  if (!isKnown) throw reader.error("its symmetric algorithm is not AES-128 or AES-256 in CFB mode");
}

/** Reads TPMT_RSA_SCHEME or TPMT_ECC_SCHEME: none, or a signing scheme. */
function readScheme(reader: ByteReader): Scheme | undefined {
  const algorithm = reader.u16("scheme");
  if (algorithm === ALGORITHM.null) return undefined;
  const isKnown = algorithm === ALGORITHM.ecdsa || algorithm === ALGORITHM.rsassa || algorithm === ALGORITHM.rsapss;
  if (!isKnown) throw reader.error(`its scheme is ${algorithm.toString(16)}`);
  return { algorithm, hash: reader.u16("scheme's hash") };
}

function readRsaDetail(reader: ByteReader): () => PublicKeyValue {
  const bits = reader.u16("keyBits");
  const exponent = reader.u32("exponent");
  if (bits !== RSA_BITS || exponent !== DEFAULT_EXPONENT) {
    throw reader.error(`it is RSA of ${bits} bits, exponent ${exponent}`);
  }
  return () => {
    const modulus = reader.sized16(RSA_BYTES, "modulus");
    const isFull = modulus.length === RSA_BYTES && (modulus[0] ?? 0) >= 0x80;
    if (!isFull) throw reader.error(`its modulus does not have ${RSA_BITS} bits`);
    return { type: "rsa", modulus };
  };
}

function readEccDetail(reader: ByteReader): () => PublicKeyValue {
  const id = reader.u16("curveID");
  if (id !== CURVE.p256 && id !== CURVE.p384) throw reader.error(`its curve is ${id}`);
  const curve = id === CURVE.p256 ? "p256" : "p384";
  if (reader.u16("kdf") !== ALGORITHM.null) throw reader.error("it has a key derivation scheme");
  return () => {
    const x = readCoordinate(reader, CURVES[curve].bytes, "x");
    const y = readCoordinate(reader, CURVES[curve].bytes, "y");
    if (!isOnCurve(curve, x, y)) throw reader.error("its point is not on its curve");
    return { type: "ecc", curve, x, y };
  };
}

/** Reads TPM2B_ECC_PARAMETER. Some TPMs write it without leading zeros; the result has them. */
export function readCoordinate(reader: ByteReader, length: number, field: string): Bytes {
  const value = reader.sized16(length, field);
  const isShort = value.length < length;
  if (value.length === 0 || (isShort && value[0] === 0)) throw reader.error(`its number "${field}" is empty or padded`);
  return concat(new Uint8Array(length - value.length), value);
}

function isOnCurve(curve: keyof typeof CURVES, x: Uint8Array, y: Uint8Array): boolean {
  try {
    CURVES[curve].curve.Point.fromBytes(concat(Uint8Array.of(4), x, y)).assertValidity();
    return true;
  } catch {
    return false;
  }
}
