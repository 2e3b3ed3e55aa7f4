import type { Bytes } from "../platform/bytes.ts";
import { copyOf, equalBytes } from "../platform/bytes.ts";
import { refusal } from "./_refusal.ts";
import { verifySignedDer } from "./certificate_signature.ts";
import { contextTag, derError, readDer, TAG } from "./der.ts";
import { type Name, readName } from "./name.ts";
import { readAlgorithm } from "./x509.ts";

/** A request of the holder of its key. */
export interface CertificateRequest {
  /** The whole request, DER. */
  readonly der: Bytes;
  /** The requested subject. */
  readonly subject: Name;
  /** The key's SPKI, DER. */
  readonly spki: Bytes;
}

/** 4 KiB. A node's P-256 request has about 300 bytes. */
export const MAXIMUM_CSR_BYTES = 1 << 12;

const VERSION_1 = 0;

/**
 * Reads a PKCS#10 request and verifies its signature (RFC 2986, 4).
 *
 * @param provenKey A key whose holder is known to want this request: the signature of a request for exactly this key is
 *   not verified. Default: none.
 * @returns The request, and the content of its attributes, which carry all requests besides subject and key.
 * @throws {BootstrapError} `malformed/der`, `refused/csr-signature`, `refused/signature-algorithm`, `refused/key-type`,
 *   `malformed/public-key`.
 */
export async function readSignedRequest(
  der: Uint8Array,
  what: string,
  provenKey?: Uint8Array,
): Promise<CertificateRequest & { readonly attributes: Bytes }> {
  const outer = readDer(der, what, MAXIMUM_CSR_BYTES).inside();
  const info = outer.element(TAG.sequence);
  const algorithm = readAlgorithm(outer, what);
  const signature = outer.octetBits();
  outer.end();
  const reader = readDer(info.bytes, what).inside();
  if (reader.small(0xff) !== VERSION_1) throw derError(what, "it is not a request of version 1");
  const subject = readName(reader, what);
  const spki = copyOf(reader.element(TAG.sequence).bytes);
  const attributes = copyOf(reader.element(contextTag(0, "constructed")).content);
  reader.end();
  const isProven = provenKey !== undefined && equalBytes(spki, provenKey);
  if (!isProven && !await verifySignedDer(info.bytes, algorithm, signature, spki, what)) {
    throw refusal("csr-signature", "A CSR is not signed by its own key", "a signature by its key", "another signature");
  }
  return { der: copyOf(der), subject, spki, attributes };
}
