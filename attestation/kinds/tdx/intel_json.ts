/**
 * Intel's signed JSON documents, as the Provisioning Certification Service gives them (Intel SGX and Intel TDX PCS API,
 * version 4).
 *
 * @module
 */
import { refusal } from "../../../protocol/refusal.ts";
import type { RefusalCheck } from "../../../protocol/refusal.ts";
import type { GenericSchema } from "valibot";
import * as v from "valibot";
import type { Certificate } from "../../../certificate/x509.ts";
import { readPublicKey, verifyWith } from "../../../certificate/public_key.ts";
import type { Bytes } from "../../../platform/bytes.ts";
import { fromHex, fromUtf8, utf8 } from "../../../platform/bytes.ts";
import { readJson } from "../../../platform/json.ts";
import { structureError } from "./_structure.ts";

/** A document whose inner object is signed. */
export interface SignedJson {
  /** The bytes of the inner object. The signature covers them exactly. */
  readonly signed: Bytes;
  /** r ‖ s, 64 bytes. */
  readonly signature: Bytes;
}

/** The size limit. The largest known document has 6 KiB. */
const MAXIMUM_JSON_BYTES = 1 << 17;
const SIGNATURE = /^,"signature":"([0-9a-f]{128})"\}$/;
const SIGNATURE_LENGTH = ',"signature":""}'.length + 128;

/**
 * Splits `{"KEY":OBJECT,"signature":"…"}` into its parts. The text around the object is unsigned, so the only accepted
 * variation is one line feed at the end.
 *
 * @param document The document.
 * @param key `tcbInfo` or `enclaveIdentity`.
 * @param what The file, for errors.
 * @throws {BootstrapError} `malformed/tdx-collateral`, `malformed/utf8`.
 */
export function readSignedJson(document: Uint8Array, key: string, what: string): SignedJson {
  if (document.length > MAXIMUM_JSON_BYTES) {
    throw structureError("collateral", `${what} is longer than ${MAXIMUM_JSON_BYTES} bytes`);
  }
  const text = fromUtf8(document.at(-1) === 0x0a ? document.subarray(0, -1) : document, what);
  const start = `{"${key}":`;
  const end = text.length - SIGNATURE_LENGTH;
  const [, signature] = SIGNATURE.exec(text.slice(Math.max(end, 0))) ?? [];
  const inner = text.slice(start.length, Math.max(end, start.length));
  if (!text.startsWith(start) || signature === undefined || !inner.startsWith("{") || !inner.endsWith("}")) {
    throw structureError("collateral", `${what} is not one object "${key}" and its signature`);
  }
  return { signed: utf8(inner), signature: fromHex(signature, what) };
}

/**
 * Verifies the signature: ECDSA with P-256 and SHA-256 over the bytes of the inner object.
 *
 * @throws {BootstrapError} `refused/tdx-CHECK`, `refused/key-type`, `malformed/…`.
 */
export async function checkSignedJson(
  { signed, signature }: SignedJson,
  signer: Certificate,
  check: RefusalCheck,
  what: string,
): Promise<void> {
  const isP256 = readPublicKey(signer.spki, what).type === "p-256";
  const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" } as const;
  if (isP256 && await verifyWith(algorithm, signer.spki, signature, signed)) return;
  throw refusal(check, `${what} is not signed by Intel`, "a signature by Intel's TCB signer", "another signature");
}

/**
 * Reads the inner object.
 *
 * @throws {BootstrapError} `malformed/tdx-collateral`, which names the file and the key.
 */
export function readInner<T>({ signed }: SignedJson, schema: GenericSchema<unknown, T>, what: string): T {
  return readJson(signed, {
    schema,
    maximumBytes: MAXIMUM_JSON_BYTES,
    error: (reason, _key, cause) => structureError("collateral", `${what} has an unknown form: ${reason}`, cause),
  });
}

/** A schema for exactly `length` bytes in hexadecimal. */
export function hexBytes(length: number): GenericSchema<unknown, Bytes> {
  return v.pipe(
    v.string(),
    v.regex(new RegExp(`^[0-9a-fA-F]{${length * 2}}$`), `must be ${length} bytes in hexadecimal`),
    v.transform((text) => fromHex(text, "hexadecimal")),
  );
}

/** A schema for an integer from 0 to `maximum`. */
export function unsigned(maximum: number): GenericSchema<unknown, number> {
  return v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(maximum));
}

/** A schema for an existing time in UTC, to the second. */
export const time: GenericSchema<unknown, Date> = v.pipe(
  v.string(),
  v.regex(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/, "must be a time in UTC"),
  v.check((text) => {
    const date = new Date(text);
    return !Number.isNaN(date.getTime()) && date.toISOString() === text.replace("Z", ".000Z");
  }, "must be a time that exists"),
  v.transform((text) => new Date(text)),
);
