/**
 * Certificate signing requests of kubelets for their serving certificates: a subject and alternative names.
 *
 * @module
 */
import { readDer } from "./der.ts";
import { refusal } from "./_refusal.ts";
import { type CertificateRequest, readSignedRequest } from "./_signed_request.ts";
import { type KeyType, readPublicKey } from "./public_key.ts";
import { type AlternativeName, EXTENSION, subjectAltName } from "./extensions.ts";
import { readExtensions } from "./x509.ts";

/** A request that is signed by its own key and asks only for its subject and alternative names. */
export interface ServingCsr extends CertificateRequest {
  readonly keyType: KeyType;
  /** The alternative names, in order; may be empty. */
  readonly names: readonly AlternativeName[];
}

/** The OID of the attribute extensionRequest (PKCS#9, RFC 2985, 5.4.2). */
const EXTENSION_REQUEST = "1.2.840.113549.1.9.14";

/**
 * Reads a request and verifies its signature. The request may ask for alternative names of its subject as kubelets do:
 * one attribute with one extension. A request with anything else is refused.
 *
 * @param der The request, at most 4 KiB (`MAXIMUM_CSR_BYTES`).
 * @throws {BootstrapError} `malformed/der`, `refused/csr-attributes`, `refused/csr-extensions`,
 *   `refused/csr-signature`, `refused/signature-algorithm`, `refused/key-type`, `malformed/public-key`.
 */
export async function readServingCsr(der: Uint8Array): Promise<ServingCsr> {
  const what = "serving CSR";
  const { attributes, ...csr } = await readSignedRequest(der, what);
  const { type: keyType } = readPublicKey(csr.spki, what);
  return { ...csr, keyType, names: attributes.length === 0 ? [] : readNames(attributes, what) };
}

function readNames(attributes: Uint8Array, what: string): readonly AlternativeName[] {
  // readDer() refuses a second attribute as a leftover.
  const attribute = readDer(attributes, what).inside();
  const oid = attribute.oid();
  if (oid !== EXTENSION_REQUEST) {
    throw refusal("csr-attributes", "A CSR has an attribute that is not extensionRequest", EXTENSION_REQUEST, oid);
  }
  const values = attribute.setOf();
  attribute.end();
  const [value] = values;
  if (value === undefined || values.length > 1) {
    throw refusal("csr-attributes", "A CSR does not have exactly one list of extensions", "1", String(values.length));
  }
  const extensions = readExtensions(readDer(value.bytes, what), what);
  const other = extensions.find((extension) => extension.oid !== EXTENSION.subjectAltName);
  if (other !== undefined) {
    const message = "A CSR asks for an extension besides its alternative names";
    throw refusal("csr-extensions", message, EXTENSION.subjectAltName, other.oid);
  }
  return subjectAltName({ extensions, profile: "strict" }) ?? [];
}
