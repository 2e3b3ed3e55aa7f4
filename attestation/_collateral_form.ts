import { derOf } from "../certificate/document_form.ts";
import type { Bytes } from "../platform/bytes.ts";
import { utf8 } from "../platform/bytes.ts";

/** What every issuer chain in the headers of Intel's service begins with. */
const ENCODED = "-----BEGIN%20CERTIFICATE-----";

/**
 * Returns a document in the form that verifiers read: certificates and revocation lists in DER, chains in PEM with line
 * feeds. Services and caches give them in other forms too.
 *
 * @param name The document's name, whose ending says what it is.
 * @param bytes The document.
 * @param source Its path or address, for errors.
 * @throws {BootstrapError} `malformed/document-form`.
 */
export function inReadForm(name: string, bytes: Bytes, source: string): Bytes {
  if (name.endsWith(".crl")) return derOf(bytes, "X509 CRL", source);
  if (name.endsWith(".der")) return derOf(bytes, "CERTIFICATE", source);
  return name.endsWith(".pem") ? chainOf(bytes) : bytes;
}

/** Undoes the encoding of an HTTP header, and line ends of other systems. The reader refuses what is no PEM. */
function chainOf(bytes: Bytes): Bytes {
  const text = new TextDecoder("latin1").decode(bytes);
  const isEncoded = text.startsWith(ENCODED);
  if (!isEncoded && !text.includes("\r")) return bytes;
  try {
    const plain = (isEncoded ? decodeURIComponent(text.trim()) : text).replaceAll("\r\n", "\n");
    return utf8(plain.endsWith("\n") ? plain : `${plain}\n`);
  } catch (error) {
    if (error instanceof URIError) return bytes;
    throw error;
  }
}
