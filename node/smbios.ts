/**
 * The strings of type 11 in a machine's SMBIOS table, in which a host hands over data.
 *
 * The host writes the table, so each length is checked. Structures of other types are passed over: what a vendor puts
 * into them must not keep a machine from starting.
 *
 * @module
 */
import type { Bytes } from "../platform/bytes.ts";
import { ByteReader } from "../platform/byte_reader.ts";
import type { ByteFormat } from "../platform/byte_reader.ts";
import { BootstrapError } from "../platform/errors.ts";

/** The size of the largest table that is read, in bytes. */
export const MAXIMUM_SMBIOS_BYTES: number = 1 << 20;

/** DMTF DSP0134 (SMBIOS 3.7), 7.12 and 7.128. */
const TYPE = { oemStrings: 11, endOfTable: 127 } as const;
/** DSP0134, 6.1.2: type, length, and a handle of two octets. */
const HEADER_BYTES = 4;

const FORMAT: ByteFormat = Object.freeze({
  order: "little-endian",
  error: (what: string, reason: string) =>
    new BootstrapError("malformed/smbios", `Cannot read the machine's ${what}: ${reason}`),
});

/**
 * Returns all strings of the structures of type 11, in order, without their final zeros.
 *
 * A structure is a formatted area, whose second octet is its length, and a set of strings that each end in a zero; one
 * more zero ends the set, and two zeros are an empty set (DSP0134, 6.1.3). The number of strings that a structure of
 * type 11 states is not used. The table ends with a structure of type 127, or with its last byte.
 *
 * @param table The table as the kernel shows it in `/sys/firmware/dmi/tables/DMI`.
 * @throws {BootstrapError} `malformed/smbios`.
 */
export function readOemStrings(table: Uint8Array): readonly Bytes[] {
  const reader = new ByteReader(table, "SMBIOS table", FORMAT);
  if (table.length > MAXIMUM_SMBIOS_BYTES) {
    throw reader.error(`it has ${table.length} bytes, and at most ${MAXIMUM_SMBIOS_BYTES} are read`);
  }
  const found: Bytes[] = [];
  while (reader.remaining > 0) {
    const type = reader.u8("type");
    const length = reader.u8("length");
    if (length < HEADER_BYTES) {
      throw reader.error(`the structure that ends at offset ${reader.offset} has a length of ${length}, below 4`);
    }
    reader.skip(length - 2, "formatted area");
    if (type === TYPE.endOfTable) break;
    const strings = readStrings(table, reader);
    if (type === TYPE.oemStrings) found.push(...strings);
  }
  return found;
}

function readStrings(table: Uint8Array, reader: ByteReader): readonly Bytes[] {
  const strings: Bytes[] = [];
  for (;;) {
    const end = table.indexOf(0, reader.offset);
    if (end < 0) throw reader.error(`the string at offset ${reader.offset} has no end`);
    const string = reader.bytes(end - reader.offset, "string");
    reader.skip(1, "end of a string");
    if (string.length > 0) strings.push(string);
    else {
      // A set without strings is two zeros.
      if (strings.length === 0) reader.zeros(1, "end of a set of strings");
      return strings;
    }
  }
}
