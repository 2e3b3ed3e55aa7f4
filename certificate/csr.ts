/**
 * Certificate signing requests (PKCS#10, RFC 2986) of nodes.
 *
 * @module
 */
import type { Bytes } from "../platform/bytes.ts";
import { equalBytes, hex } from "../platform/bytes.ts";
import { mintRequest } from "./_mint.ts";
import { refusal } from "./_refusal.ts";
import { type CertificateRequest, MAXIMUM_CSR_BYTES, readSignedRequest } from "./_signed_request.ts";
import type { KeyPair } from "./keys.ts";
import { nameText, sameAttributes } from "./name.ts";
import { nodeSubject } from "./subjects.ts";

export { type CertificateRequest, MAXIMUM_CSR_BYTES };

/**
 * Makes the request of a node: `O=system:nodes, CN=system:node:NAME`.
 *
 * @param keys The kubelet's key pair, P-256.
 * @param nodeName The node's name, an RFC 1123 subdomain. The caller has checked it.
 * @returns PKCS#10, DER.
 */
export function createNodeCsr(keys: KeyPair, nodeName: string): Promise<Bytes> {
  return mintRequest(nodeSubject(nodeName), keys);
}

/**
 * Reads a request and verifies its signature. It refuses a request with any attribute, such as a request for
 * extensions.
 *
 * @param der The request, at most {@linkcode MAXIMUM_CSR_BYTES}.
 * @param provenKey The SPKI of a key that has signed something which names this request: the request's own signature, if
 *   it is for exactly this key, would prove nothing more, and is not verified. Default: none.
 * @throws {BootstrapError} `malformed/der`, `refused/csr-attributes`, `refused/csr-signature`,
 *   `refused/signature-algorithm`, `refused/key-type`, `malformed/public-key`.
 */
export async function readCsr(der: Uint8Array, provenKey?: Uint8Array): Promise<CertificateRequest> {
  const { attributes, ...csr } = await readSignedRequest(der, "CSR", provenKey);
  if (attributes.length > 0) {
    const seen = `${attributes.length} bytes of attributes`;
    throw refusal("csr-attributes", "A CSR asks for more than its subject", "no attributes", seen);
  }
  return csr;
}

/**
 * Checks that a request is exactly the one of a node: it has the node's subject and the key in the node's evidence.
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
    throw refusal("csr-subject", "A CSR does not ask for its node's subject", nameText(expected), seen);
  }
  if (!equalBytes(csr.spki, spki)) {
    throw refusal("csr-key", "A CSR is for another key than the one in the evidence", hex(spki), hex(csr.spki));
  }
}
