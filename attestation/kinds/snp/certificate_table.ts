/**
 * The table of certificates that a host gives with an extended report (AMD 56421, SNP Extended Guest Request): entries of GUID,
 * offset and length, an entry of zeros, then the certificates.
 *
 * @module
 */
import type { Bytes } from "../../../platform/bytes.ts";
import { copyOf, fromHex, hex, isZero } from "../../../platform/bytes.ts";
import { BootstrapError } from "../../../platform/errors.ts";

/** GUIDs of the entries that are read (AMD 56421, 2.5; that of the revocation list is virtee's). */
export const CERTIFICATE_GUID = {
  vcek: "63da758d-e664-4564-adc5-f4b93be8accd",
  vlek: "a8074bc2-a25a-483e-aae6-39c045a0b8a1",
  /** The VCEK's authority, and the VLEK's. */
  ask: "4ab7b379-bbac-4fe4-a02f-05aef327c782",
  crl: "92f81bc3-5811-4d3d-97ff-d19f88dc67ea",
} as const;

const GUID_BYTES = 16;
const ENTRY_BYTES = 24;
/** AMD has six GUIDs; a host may add its own. */
const MAXIMUM_ENTRIES = 32;

/**
 * Reads a table.
 *
 * @param bytes The table and the certificates; nothing at all is a table of none.
 * @returns The contents by GUID, lower-case with hyphens.
 * @throws {BootstrapError} `malformed/snp-certificate-table` for an entry that reaches out of the bytes or into the table,
 *   comes twice, or has no end.
 */
export function readCertificateTable(bytes: Uint8Array): ReadonlyMap<string, Bytes> {
  const contents = new Map<string, Bytes>();
  if (bytes.length === 0) return contents;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const count = entryCount(bytes);
  for (let index = 0; index < count; index++) {
    const at = index * ENTRY_BYTES;
    const guid = guidText(bytes.subarray(at, at + GUID_BYTES));
    const [offset, length] = [view.getUint32(at + GUID_BYTES, true), view.getUint32(at + GUID_BYTES + 4, true)];
    if (offset < (count + 1) * ENTRY_BYTES) throw tableError(`entry ${index} reaches into the table`);
    if (offset + length > bytes.length) throw tableError(`entry ${index} reaches out of it`);
    if (contents.has(guid)) throw tableError(`it has ${guid} twice`);
    contents.set(guid, copyOf(bytes.subarray(offset, offset + length)));
  }
  return contents;
}

/** The bytes of a GUID, as tables have them. */
export function guidBytes(guid: string): Bytes {
  return fromHex(guid.replaceAll("-", ""), "GUID");
}

function entryCount(bytes: Uint8Array): number {
  for (let count = 0; count <= MAXIMUM_ENTRIES; count++) {
    const entry = bytes.subarray(count * ENTRY_BYTES, (count + 1) * ENTRY_BYTES);
    if (entry.length < ENTRY_BYTES) throw tableError("it has no end");
    if (isZero(entry)) return count;
  }
  throw tableError(`it has more than ${MAXIMUM_ENTRIES} entries`);
}

function guidText(bytes: Uint8Array): string {
  return hex(bytes).replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}

function tableError(reason: string): BootstrapError {
  const what = "SNP certificate table";
  return new BootstrapError("malformed/snp-certificate-table", `Cannot read "${what}" as ${reason}`, {
    details: { field: what },
  });
}
