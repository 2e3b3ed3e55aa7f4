/**
 * Certificate signing requests (PKCS#10, RFC 2986) of nodes.
 *
 * @module
 */
import type { Bytes } from "../platform/bytes.ts";
import { copyOf, equalBytes, hex } from "../platform/bytes.ts";
import { mintRequest } from "./_mint.ts";
import { refusal } from "./_refusal.ts";
import { verifySignedDer } from "./certificate_signature.ts";
import { contextTag, derError, readDer, TAG } from "./der.ts";
import type { KeyPair } from "./keys.ts";
import { type Name, nameText, readName, sameAttributes } from "./name.ts";
import { nodeSubject } from "./subjects.ts";
import { readAlgorithm } from "./x509.ts";

/** A request that is signed by its own key and asks for nothing but its subject. */
export interface CertificateRequest {
  /** The whole encoding. */
  readonly der: Bytes;
  /** The subject that it asks for. */
  readonly subject: Name;
  /** The key's SPKI, DER. */
  readonly spki: Bytes;
}

/** 4 KiB; a P-256 request of a node has about 300 bytes. */
export const MAXIMUM_CSR_BYTES = 1 << 12;

const VERSION_1 = 0;

/**
 * Makes the request of a node: `O=system:nodes, CN=system:node:NAME`.
 *
 * @param keys The kubelet's key pair, P-256.
 * @param nodeName The node's name, an RFC 1123 label; whoever calls has checked it.
 * @returns PKCS#10, DER.
 */
export function createNodeCsr(keys: KeyPair, nodeName: string): Promise<Bytes> {
  return mintRequest(nodeSubject(nodeName), keys);
}

/**
 * Reads a request and verifies its signature. A request with any attribute, such as one for extensions, is refused.
 *
 * @param der The bytes, at most {@linkcode MAXIMUM_CSR_BYTES}.
 * @throws {BootstrapError} `malformed/der`, `refused/csr-attributes`, `refused/csr-signature`, `refused/signature-algorithm`,
 *   `refused/key-type`, `malformed/public-key`.
 */
export async function readCsr(der: Uint8Array): Promise<CertificateRequest> {
  const what = "CSR";
  const outer = readDer(der, what, MAXIMUM_CSR_BYTES).inside();
  const info = outer.element(TAG.sequence);
  const algorithm = readAlgorithm(outer, what);
  const signature = outer.octetBits();
  outer.end();
  const reader = readDer(info.bytes, what).inside();
  if (reader.small(0xff) !== VERSION_1) throw derError(what, "it is not a request of version 1");
  const subject = readName(reader, what);
  const spki = copyOf(reader.element(TAG.sequence).bytes);
  const { content } = reader.element(contextTag(0, "constructed"));
  reader.end();
  if (content.length > 0) {
    throw refusal(
      "csr-attributes",
      "A CSR asks for more than its subject",
      "no attributes",
      `${content.length} bytes of them`,
    );
  }
  if (!await verifySignedDer(info.bytes, algorithm, signature, spki, what)) {
    throw refusal("csr-signature", "A CSR is not signed by its own key", "a signature by its key", "another signature");
  }
  return { der: copyOf(der), subject, spki };
}

/**
 * Checks that a request is exactly the one for a node: its subject, and the key that the node's evidence names.
 *
 * @param csr The request, from {@linkcode readCsr}.
 * @param nodeName The node's name.
 * @param spki SPKI_c, DER.
 * @throws {BootstrapError} `refused/csr-subject`, `refused/csr-key`.
 */
export function checkNodeCsr(csr: CertificateRequest, nodeName: string, spki: Uint8Array): void {
  const expected = nodeSubject(nodeName);
  if (!sameAttributes(csr.subject.attributes, expected)) {
    const seen = nameText(csr.subject.attributes);
    throw refusal("csr-subject", "A CSR asks for another subject than its node's", nameText(expected), seen);
  }
  if (!equalBytes(csr.spki, spki)) {
    throw refusal("csr-key", "A CSR is for another key than the one in the evidence", hex(spki), hex(csr.spki));
  }
}
