/**
 * A reader of PE images (Microsoft PE/COFF specification). It reads only the parts that UEFI firmware and systemd-stub
 * use.
 *
 * @module
 */
import type { ByteFormat } from "../../platform/byte_reader.ts";
import { ByteReader } from "../../platform/byte_reader.ts";
import { BootstrapError } from "../../platform/errors.ts";

/** A section of an image. */
export interface PeSection {
  /** The section's name, without its NUL padding. */
  readonly name: string;
  /** The section's length in memory, in bytes. */
  readonly virtualSize: number;
  /** The section's address in memory. */
  readonly virtualAddress: number;
  /** The section's offset in the file. */
  readonly rawOffset: number;
  /** The section's length in the file, in bytes. */
  readonly rawSize: number;
}

/** A well-formed PE image. */
export interface PeImage {
  /** The whole file. */
  readonly bytes: Uint8Array;
  /** The offset of the checksum in the optional header. */
  readonly checksumOffset: number;
  /** The offset of the certificate table's directory entry; absent if there is no such entry. */
  readonly certificateEntryOffset?: number;
  /** The length of the certificate table at the end of the file, in bytes. */
  readonly certificateBytes: number;
  /** The major version of the image. For a kernel, it tells the features of its EFI stub. */
  readonly majorImageVersion: number;
  /** The length of all headers, in bytes. */
  readonly headerBytes: number;
  /** The sections, in the order of the section table. */
  readonly sections: readonly PeSection[];
}

/** The largest accepted image, in bytes. */
export const MAXIMUM_IMAGE_BYTES: number = 1 << 30;

const DOS_MAGIC = 0x5a4d;
const DOS_BYTES = 64;
const DOS_HEADER_POINTER = 0x3c;
const PE_MAGIC = 0x4550;
/** The offset of the optional header from the PE header's signature. */
const PE_HEADER_BYTES = 24;
const MACHINES: readonly number[] = [0x8664, 0xaa64];
/** PE32+, the format of images for 64-bit machines. */
const OPTIONAL_MAGIC = 0x20b;
const OPTIONAL_FIXED_BYTES = 112;
const OPTIONAL = { majorImageVersion: 44, headerBytes: 60, checksum: 64, directoryCount: 108 } as const;
const DIRECTORY_BYTES = 8;
const MAXIMUM_DIRECTORIES = 16;
const CERTIFICATE_DIRECTORY = 4;
const SECTION_BYTES = 40;
const NAME_BYTES = 8;
const FORMAT: ByteFormat = Object.freeze({ order: "little-endian", error: peError });
/** The Windows loader takes 96, firmware takes any number. Images with many profiles have several for each. */
const MAXIMUM_SECTIONS = 4096;

/**
 * Reads a PE image.
 *
 * @param bytes The file.
 * @param what The image's name in errors, such as its path.
 * @throws {BootstrapError} `malformed/pe` if the file is not PE32+ for x86-64 or AArch64, if sections overlap in
 *   the file or are not in it, or if the certificate table is not at the end of the file.
 */
export function readPeImage(bytes: Uint8Array, what: string): PeImage {
  if (bytes.length > MAXIMUM_IMAGE_BYTES) throw peError(what, `it is larger than ${MAXIMUM_IMAGE_BYTES} bytes`);
  const file = new ByteReader(bytes, what, FORMAT);
  const header = readHeader(file);
  const optional = readOptionalHeader(file, header);
  const { sectionTable, sectionCount } = header;
  const { headerBytes } = optional;
  if (sectionTable + sectionCount * SECTION_BYTES > headerBytes) {
    throw file.error("its section table is longer than its headers");
  }
  file.at(0).skip(headerBytes, "headers");
  const sections = readSections(file, header);
  const inFile = sections.filter(({ rawSize }) => rawSize > 0);
  if (overlaps([[0, headerBytes], ...inFile.map(({ rawOffset, rawSize }) => [rawOffset, rawSize] as const)])) {
    throw file.error("its sections overlap in the file");
  }
  const { certificateEntryOffset } = optional;
  const image = { bytes, ...optional, sections };
  if (certificateEntryOffset === undefined) return { ...image, certificateBytes: 0 };
  const entry = file.at(certificateEntryOffset);
  const certificateOffset = entry.u32("offset of the certificate table");
  const certificateBytes = entry.u32("size of the certificate table");
  if (certificateBytes > 0 && certificateOffset + certificateBytes !== bytes.length) {
    throw file.error("its certificate table is not at its end");
  }
  if (inFile.some(({ rawOffset, rawSize }) => rawOffset + rawSize > bytes.length - certificateBytes)) {
    throw file.error("its certificate table overlaps a section");
  }
  return { ...image, certificateBytes };
}

interface PeHeader {
  readonly optionalHeader: number;
  readonly sectionTable: number;
  readonly sectionCount: number;
}

/** Reads the DOS header, and the PE header that it points to. */
function readHeader(file: ByteReader): PeHeader {
  const dos = file.at(0).part(DOS_BYTES, "DOS header");
  if (dos.u16("e_magic") !== DOS_MAGIC) throw file.error("it does not begin with MZ");
  const start = dos.at(DOS_HEADER_POINTER).u32("e_lfanew");
  if (start < DOS_BYTES) throw file.error("its PE header is inside the DOS header");
  const header = file.at(start).part(PE_HEADER_BYTES, "PE header");
  if (header.u32("signature") !== PE_MAGIC) throw file.error("it has no PE header");
  const machine = header.u16("Machine");
  if (!MACHINES.includes(machine)) throw file.error(`it is for the machine 0x${machine.toString(16)}`);
  const sectionCount = header.u16("NumberOfSections");
  if (sectionCount === 0 || sectionCount > MAXIMUM_SECTIONS) throw file.error(`it has ${sectionCount} sections`);
  header.skip(12, "TimeDateStamp, PointerToSymbolTable and NumberOfSymbols");
  const optionalHeader = start + PE_HEADER_BYTES;
  const optionalBytes = header.u16("SizeOfOptionalHeader");
  if (optionalBytes < OPTIONAL_FIXED_BYTES) throw file.error("its optional header is too short");
  return { optionalHeader, sectionTable: optionalHeader + optionalBytes, sectionCount };
}

type OptionalHeader = Pick<PeImage, "checksumOffset" | "certificateEntryOffset" | "majorImageVersion" | "headerBytes">;

function readOptionalHeader(file: ByteReader, { optionalHeader: start, sectionTable }: PeHeader): OptionalHeader {
  const optional = file.at(start).part(sectionTable - start, "optional header");
  if (optional.u16("Magic") !== OPTIONAL_MAGIC) throw file.error("it is not PE32+");
  const directories = optional.at(OPTIONAL.directoryCount).u32("NumberOfRvaAndSizes");
  const end = OPTIONAL_FIXED_BYTES + directories * DIRECTORY_BYTES;
  if (directories > MAXIMUM_DIRECTORIES || end > sectionTable - start) {
    throw file.error("its data directories are not in its optional header");
  }
  const entry = start + OPTIONAL_FIXED_BYTES + CERTIFICATE_DIRECTORY * DIRECTORY_BYTES;
  return {
    checksumOffset: start + OPTIONAL.checksum,
    majorImageVersion: optional.at(OPTIONAL.majorImageVersion).u16("MajorImageVersion"),
    headerBytes: optional.at(OPTIONAL.headerBytes).u32("SizeOfHeaders"),
    ...(directories <= CERTIFICATE_DIRECTORY ? {} : { certificateEntryOffset: entry }),
  };
}

function readSections(file: ByteReader, { sectionTable, sectionCount }: PeHeader): PeSection[] {
  const table = file.at(sectionTable);
  return Array.from({ length: sectionCount }, (_, i): PeSection => {
    const header = table.part(SECTION_BYTES, `header of section ${i}`);
    const name = sectionName(header.bytes(NAME_BYTES, "Name"));
    if (name === undefined) throw file.error(`section ${i} has no name of printable characters`);
    const virtualSize = header.u32("VirtualSize");
    const virtualAddress = header.u32("VirtualAddress");
    const rawSize = header.u32("SizeOfRawData");
    const rawOffset = header.u32("PointerToRawData");
    file.at(rawOffset).skip(rawSize, `section ${name}`);
    return { name, virtualSize, virtualAddress, rawOffset, rawSize };
  });
}

function sectionName(bytes: Uint8Array): string | undefined {
  const end = bytes.indexOf(0);
  const name = end === -1 ? bytes : bytes.subarray(0, end);
  const isText = name.length > 0 && name.every((octet) => octet > 0x20 && octet < 0x7f);
  const isFilled = bytes.subarray(name.length).every((octet) => octet === 0);
  return isText && isFilled ? new TextDecoder("ascii").decode(name) : undefined;
}

/** Whether two sections overlap in memory. */
export function overlapsInMemory(a: PeSection, b: PeSection): boolean {
  return overlaps([a, b].map(({ virtualAddress, virtualSize }) => [virtualAddress, virtualSize] as const));
}

/** Whether any two ranges overlap. A range is a start and a length. */
function overlaps(ranges: readonly (readonly [number, number])[]): boolean {
  const sorted = ranges.filter(([, length]) => length > 0).sort(([a], [b]) => a - b);
  return sorted.some(([start], i) => {
    const before = sorted[i - 1];
    return before !== undefined && before[0] + before[1] > start;
  });
}

function peError(what: string, reason: string): BootstrapError {
  return new BootstrapError("malformed/pe", `Cannot read ${what} as a PE image: ${reason}`, {
    details: { document: what },
  });
}
