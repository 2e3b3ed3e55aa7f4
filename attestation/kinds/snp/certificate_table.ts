/**
 * The table of certificates that a host gives with an extended report (AMD 56421, SNP Extended Guest Request). It
 * consists of entries (GUID, offset, length), an entry of zeros, and the certificates.
 *
 * @module
 */
import type { ByteFormat } from "../../../platform/byte_reader.ts";
import { ByteReader } from "../../../platform/byte_reader.ts";
import type { Bytes } from "../../../platform/bytes.ts";
import { fromHex, hex, isZero } from "../../../platform/bytes.ts";
import { BootstrapError } from "../../../platform/errors.ts";

/** GUIDs of the entries that are read (AMD 56421, 2.5; the GUID of the revocation list is from virtee). */
export const CERTIFICATE_GUID = {
  vcek: "63da758d-e664-4564-adc5-f4b93be8accd",
  vlek: "a8074bc2-a25a-483e-aae6-39c045a0b8a1",
  /** The authority of the VCEK or VLEK. */
  ask: "4ab7b379-bbac-4fe4-a02f-05aef327c782",
  crl: "92f81bc3-5811-4d3d-97ff-d19f88dc67ea",
} as const;

const GUID_BYTES = 16;
const ENTRY_BYTES = 24;
/** AMD defines six GUIDs; a host may add its own. */
const MAXIMUM_ENTRIES = 32;
const FORMAT: ByteFormat = Object.freeze({ order: "little-endian", error: tableError });

interface Entry {
  readonly guid: string;
  readonly offset: number;
  readonly length: number;
}

/**
 * Reads a table.
 *
 * @param bytes The table and the certificates. No bytes at all mean an empty table.
 * @returns The contents by GUID, lower-case with hyphens.
 * @throws {BootstrapError} `malformed/snp-certificate-table` if an entry points outside the bytes or into the table, if
 *   a GUID occurs twice, or if the table has no end.
 */
export function readCertificateTable(bytes: Uint8Array): ReadonlyMap<string, Bytes> {
  const contents = new Map<string, Bytes>();
  if (bytes.length === 0) return contents;
  const reader = new ByteReader(bytes, "SNP certificate table", FORMAT);
  const entries = readEntries(reader);
  for (const [index, { guid, offset, length }] of entries.entries()) {
    if (offset < reader.offset) throw reader.error(`entry ${index} reaches into the table: its offset is ${offset}`);
    if (contents.has(guid)) throw reader.error(`it has ${guid} twice`);
    contents.set(guid, reader.at(offset).bytes(length, `content of entry ${index}`));
  }
  return contents;
}

/** Encodes a GUID as tables store it. */
export function guidBytes(guid: string): Bytes {
  return fromHex(guid.replaceAll("-", ""), "GUID");
}

/** Reads the entries up to the entry of zeros. */
function readEntries(reader: ByteReader): Entry[] {
  const entries: Entry[] = [];
  for (;;) {
    const entry = reader.part(ENTRY_BYTES, `entry ${entries.length}`);
    if (isZero(entry.at(0).rest("entry"))) return entries;
    if (entries.length === MAXIMUM_ENTRIES) throw reader.error(`it has more than ${MAXIMUM_ENTRIES} entries`);
    const guid = guidText(entry.bytes(GUID_BYTES, "GUID"));
    entries.push({ guid, offset: entry.u32("offset"), length: entry.u32("length") });
  }
}

function guidText(bytes: Uint8Array): string {
  return hex(bytes).replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}

function tableError(what: string, reason: string): BootstrapError {
  return new BootstrapError("malformed/snp-certificate-table", `Cannot read "${what}" as ${reason}`, {
    details: { field: what },
  });
}
