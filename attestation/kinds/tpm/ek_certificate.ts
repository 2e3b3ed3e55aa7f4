/**
 * The certificate of an endorsement key in the forms in which manufacturers store it in NV memory.
 *
 * @module
 */
import type { Bytes } from "../../../platform/bytes.ts";
import { copyOf } from "../../../platform/bytes.ts";

const SEQUENCE = 0x30;
const OCTET_STRING = 0x04;
/** TCG_PCCLIENT_STORED_CERT (TCG PC Client Specific Implementation 1.21, 7.3.2): u16 tag, u8 type, u16 size. */
const STORED_CERTIFICATE = 0x1001;
const STORED_HEADER_BYTES = 5;
const FULL_CERTIFICATE_TYPE = 0;
/** TCG_FULL_CERT: a tag of two octets that may stand before the certificate. */
const FULL_CERTIFICATE = 0x1002;
const TAG_BYTES = 2;
/** A header, a tag and an OCTET STRING. */
const MAXIMUM_WRAPPERS = 3;

/**
 * Returns the certificate in the content of an NV index: without the header of the TCG or the OCTET STRING around it,
 * and without the padding behind it. Content of any other form is returned as it is; a reader of certificates refuses
 * it.
 */
export function certificateIn(content: Uint8Array): Bytes {
  let inside = content;
  for (let wrappers = 0; wrappers < MAXIMUM_WRAPPERS && inside[0] !== SEQUENCE; wrappers++) {
    const unwrapped = withoutWrapper(inside);
    if (unwrapped === undefined) return copyOf(content);
    inside = unwrapped;
  }
  return inside[0] === SEQUENCE ? copyOf(inside.subarray(0, elementBytes(inside) ?? inside.length)) : copyOf(content);
}

/**
 * Splits certificates that stand one after the other, as in the NV indices of a chain. What follows the last one, such
 * as padding, is dropped.
 *
 * @param maximum The number of certificates after which the rest is dropped.
 */
export function certificatesIn(content: Uint8Array, maximum: number): readonly Bytes[] {
  const certificates: Bytes[] = [];
  let rest = content;
  while (certificates.length < maximum && rest[0] === SEQUENCE) {
    const length = elementBytes(rest);
    if (length === undefined) break;
    certificates.push(copyOf(rest.subarray(0, length)));
    rest = rest.subarray(length);
  }
  return certificates;
}

function withoutWrapper(content: Uint8Array): Uint8Array | undefined {
  const tag = u16(content, 0);
  if (tag === STORED_CERTIFICATE && content[TAG_BYTES] === FULL_CERTIFICATE_TYPE) {
    const size = u16(content, TAG_BYTES + 1);
    return content.subarray(STORED_HEADER_BYTES, STORED_HEADER_BYTES + size);
  }
  if (tag === FULL_CERTIFICATE) return content.subarray(TAG_BYTES);
  const length = content[0] === OCTET_STRING ? elementBytes(content) : undefined;
  return length === undefined ? undefined : content.subarray(headerBytes(content), length);
}

/** The length of the DER element at the start, header included; `undefined` if it is cut off. */
function elementBytes(bytes: Uint8Array): number | undefined {
  const form = bytes[1] ?? 0;
  const header = headerBytes(bytes);
  const length = form < 0x80 ? form : form === 0x81 ? bytes[2] ?? 0 : form === 0x82 ? u16(bytes, 2) : Infinity;
  return header + length <= bytes.length ? header + length : undefined;
}

function headerBytes(bytes: Uint8Array): number {
  const form = bytes[1] ?? 0;
  return form < 0x80 ? 2 : 2 + (form & 0x7f);
}

function u16(bytes: Uint8Array, offset: number): number {
  return (bytes[offset] ?? 0) * 256 + (bytes[offset + 1] ?? 0);
}
