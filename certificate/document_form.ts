/**
 * The forms in which vendors and caches give DER: as it is, in PEM, in base64, and in hexadecimal.
 *
 * @module
 */
import type { Bytes } from "../platform/bytes.ts";
import { copyOf, fromBase64, fromHex } from "../platform/bytes.ts";
import { BootstrapError } from "../platform/errors.ts";

/** The PEM labels of documents that are DER. */
export type DerLabel = "CERTIFICATE" | "X509 CRL";

const BEGIN = "-----BEGIN ";
const DASHES = "-----";
const SHOWN_CHARACTERS = 24;

/**
 * Returns the DER of a document. Bytes that are neither DER nor text are returned as they are, for the reader of DER to
 * refuse. The result is not verified.
 *
 * @param document The document, of a size that is bounded already.
 * @param label The PEM label of documents of this kind.
 * @param what The document's path or address, for errors.
 * @throws {BootstrapError} `malformed/document-form`, which names the document and the form that was seen.
 */
export function derOf(document: Uint8Array, label: DerLabel, what: string): Bytes {
  if (!isText(document)) return copyOf(document);
  const text = new TextDecoder("ascii").decode(document).trim();
  if (text.startsWith(BEGIN)) return fromPem(text, label, what);
  const joined = text.replaceAll(/\s+/g, "");
  // The hexadecimal of DER is base64 too, of bytes that are no DER.
  if (/^30[0-9a-f]*$/i.test(joined) && joined.length % 2 === 0) return fromHex(joined.toLowerCase(), what);
  if (/^M[A-Za-z0-9+/]*={0,2}$/.test(joined)) return decode(joined, "base64", label, what);
  throw formError(what, label, `a text that begins with ${JSON.stringify(text.slice(0, SHOWN_CHARACTERS))}`);
}

/** Whether a document is printable ASCII. DER of more than 127 octets is not: its second octet is none. */
function isText(document: Uint8Array): boolean {
  return document.length > 0 &&
    document.every((octet) => (octet >= 0x20 && octet < 0x7f) || octet === 0x0a || octet === 0x0d || octet === 0x09);
}

function fromPem(text: string, label: DerLabel, what: string): Bytes {
  const [first = "", ...rest] = text.split(/\r\n|\n|\r/);
  const seen = first.slice(BEGIN.length, -DASHES.length);
  if (!first.endsWith(DASHES) || rest.at(-1) !== `-----END ${seen}${DASHES}`) {
    throw formError(what, label, "damaged PEM");
  }
  if (seen !== label) throw formError(what, label, `PEM of a ${seen.slice(0, SHOWN_CHARACTERS)}`);
  const body = rest.slice(0, -1);
  if (body.some((line) => line.startsWith(DASHES))) throw formError(what, label, "several blocks of PEM");
  return decode(body.join("").replaceAll(/\s+/g, ""), "PEM", label, what);
}

function decode(text: string, form: string, label: DerLabel, what: string): Bytes {
  try {
    return fromBase64(text, what);
  } catch (cause) {
    throw formError(what, label, `damaged ${form}`, cause);
  }
}

function formError(what: string, label: DerLabel, seen: string, cause?: unknown): BootstrapError {
  const wanted = label === "CERTIFICATE" ? "a certificate" : "a revocation list";
  return new BootstrapError("malformed/document-form", `Cannot read ${what} as ${wanted}: it is ${seen}`, {
    next: `Give ${wanted} in DER, in one block of PEM labelled ${label}, in base64 or in hexadecimal`,
    details: { document: what, expected: `DER, PEM (${label}), base64 or hexadecimal`, seen },
    ...(cause === undefined ? {} : { cause }),
  });
}
