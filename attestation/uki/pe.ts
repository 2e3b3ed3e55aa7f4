/**
 * PE images (Microsoft PE/COFF specification), as far as UEFI firmware and systemd-stub look at them, and no further.
 *
 * @module
 */
import { BootstrapError } from "../../platform/errors.ts";

/** A section of an image. */
export interface PeSection {
  /** Its name, without the NULs that fill it up. */
  readonly name: string;
  /** How long it is in memory, in bytes. */
  readonly virtualSize: number;
  /** Where it is in memory. */
  readonly virtualAddress: number;
  /** Where it is in the file. */
  readonly rawOffset: number;
  /** How long it is in the file, in bytes. */
  readonly rawSize: number;
}

/** A PE image that has its form. */
export interface PeImage {
  /** The whole file. */
  readonly bytes: Uint8Array;
  /** Where the checksum of the optional header is. */
  readonly checksumOffset: number;
  /** Where the directory entry of the certificate table is; none where there is no such entry. */
  readonly certificateEntryOffset?: number;
  /** How long the certificate table at the end of the file is, in bytes. */
  readonly certificateBytes: number;
  /** The major version of the image, which says what a kernel's EFI stub can do. */
  readonly majorImageVersion: number;
  /** How long all headers are, in bytes. */
  readonly headerBytes: number;
  /** The sections, in the order of the section table. */
  readonly sections: readonly PeSection[];
}

/** The largest image that is read, in bytes. */
export const MAXIMUM_IMAGE_BYTES: number = 1 << 30;

const DOS_MAGIC = 0x5a4d;
const DOS_BYTES = 64;
const DOS_HEADER_POINTER = 0x3c;
const PE_MAGIC = 0x4550;
const COFF_BYTES = 20;
const MACHINES: readonly number[] = [0x8664, 0xaa64];
/** PE32+, which images for 64-bit machines are. */
const OPTIONAL_MAGIC = 0x20b;
const OPTIONAL_FIXED_BYTES = 112;
const OPTIONAL = { majorImageVersion: 44, headerBytes: 60, checksum: 64, directoryCount: 108 } as const;
const DIRECTORY_BYTES = 8;
const MAXIMUM_DIRECTORIES = 16;
const CERTIFICATE_DIRECTORY = 4;
const SECTION_BYTES = 40;
const NAME_BYTES = 8;
/** The Windows loader's own bound. */
const MAXIMUM_SECTIONS = 96;

/**
 * Reads an image.
 *
 * @param bytes The file.
 * @param what What it is, for errors: a path.
 * @throws {BootstrapError} `malformed/pe`: no PE32+ for x86-64 or AArch64; sections that overlap or are not in the file; a
 *   certificate table that is not at its end.
 */
export function readPeImage(bytes: Uint8Array, what: string): PeImage {
  const fail = (reason: string): never => {
    throw new BootstrapError("malformed/pe", `Cannot read ${what} as a PE image: ${reason}`, {
      details: { document: what },
    });
  };
  const need = (end: number, field: string) => {
    if (end > bytes.length) fail(`it ends inside ${field}`);
  };
  if (bytes.length > MAXIMUM_IMAGE_BYTES) fail(`it is larger than ${MAXIMUM_IMAGE_BYTES} bytes`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  need(DOS_BYTES, "the DOS header");
  if (view.getUint16(0, true) !== DOS_MAGIC) fail("it does not begin with MZ");
  const coff = view.getUint32(DOS_HEADER_POINTER, true) + 4;
  if (coff < DOS_BYTES + 4) fail("its PE header is inside the DOS header");
  need(coff + COFF_BYTES, "the PE header");
  if (view.getUint32(coff - 4, true) !== PE_MAGIC) fail("it has no PE header");
  const machine = view.getUint16(coff, true);
  if (!MACHINES.includes(machine)) fail(`it is for the machine 0x${machine.toString(16)}`);

  const optional = coff + COFF_BYTES;
  const optionalBytes = view.getUint16(coff + 16, true);
  const table = optional + optionalBytes;
  if (optionalBytes < OPTIONAL_FIXED_BYTES) fail("its optional header is too short");
  need(table, "the optional header");
  if (view.getUint16(optional, true) !== OPTIONAL_MAGIC) fail("it is not PE32+");
  const directories = view.getUint32(optional + OPTIONAL.directoryCount, true);
  const directoryBytes = directories * DIRECTORY_BYTES;
  if (directories > MAXIMUM_DIRECTORIES || OPTIONAL_FIXED_BYTES + directoryBytes > optionalBytes) {
    fail("its data directories are not in its optional header");
  }

  const count = view.getUint16(coff + 2, true);
  if (count === 0 || count > MAXIMUM_SECTIONS) fail(`it has ${count} sections`);
  const headerBytes = view.getUint32(optional + OPTIONAL.headerBytes, true);
  if (table + count * SECTION_BYTES > headerBytes) fail("its section table is longer than its headers");
  need(headerBytes, "the headers");

  const sections = Array.from({ length: count }, (_, i): PeSection => {
    const at = table + i * SECTION_BYTES;
    const name = sectionName(bytes.subarray(at, at + NAME_BYTES));
    if (name === undefined) return fail(`section ${i} has no name of printable characters`);
    const [virtualSize, virtualAddress, rawSize, rawOffset] = [8, 12, 16, 20].map((field) =>
      view.getUint32(at + field, true)
    ) as [number, number, number, number];
    need(rawOffset + rawSize, `section ${name}`);
    return { name, virtualSize, virtualAddress, rawOffset, rawSize };
  });
  const inFile = sections.filter(({ rawSize }) => rawSize > 0);
  if (overlaps([[0, headerBytes], ...inFile.map(({ rawOffset, rawSize }) => [rawOffset, rawSize] as const)])) {
    fail("its sections overlap in the file");
  }
  if (overlaps(sections.map(({ virtualAddress, virtualSize }) => [virtualAddress, virtualSize] as const))) {
    fail("its sections overlap in memory");
  }

  const majorImageVersion = view.getUint16(optional + OPTIONAL.majorImageVersion, true);
  const common = { bytes, checksumOffset: optional + OPTIONAL.checksum, majorImageVersion, headerBytes, sections };
  if (directories <= CERTIFICATE_DIRECTORY) return { ...common, certificateBytes: 0 };
  const certificateEntryOffset = optional + OPTIONAL_FIXED_BYTES + CERTIFICATE_DIRECTORY * DIRECTORY_BYTES;
  const certificateOffset = view.getUint32(certificateEntryOffset, true);
  const certificateBytes = view.getUint32(certificateEntryOffset + 4, true);
  if (certificateBytes > 0 && certificateOffset + certificateBytes !== bytes.length) {
    fail("its certificate table is not at its end");
  }
  if (inFile.some(({ rawOffset, rawSize }) => rawOffset + rawSize > bytes.length - certificateBytes)) {
    fail("its certificate table overlaps a section");
  }
  return { ...common, certificateEntryOffset, certificateBytes };
}

function sectionName(bytes: Uint8Array): string | undefined {
  const end = bytes.indexOf(0);
  const name = end === -1 ? bytes : bytes.subarray(0, end);
  const isText = name.length > 0 && name.every((octet) => octet > 0x20 && octet < 0x7f);
  const isFilled = bytes.subarray(name.length).every((octet) => octet === 0);
  return isText && isFilled ? new TextDecoder("ascii").decode(name) : undefined;
}

/** Whether any two of the ranges, each of a start and a length, have something in common. */
function overlaps(ranges: readonly (readonly [number, number])[]): boolean {
  const sorted = ranges.filter(([, length]) => length > 0).sort(([a], [b]) => a - b);
  return sorted.some(([start], i) => {
    const before = sorted[i - 1];
    return before !== undefined && before[0] + before[1] > start;
  });
}
