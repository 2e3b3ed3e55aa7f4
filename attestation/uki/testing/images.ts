/**
 * A writer of unified kernel images for tests.
 *
 * @module
 */
import type { Bytes } from "../../../platform/bytes.ts";
import { concat, utf8 } from "../../../platform/bytes.ts";
import { le } from "../../eventlog/testing/event_logs.ts";

/** A section to write. */
export interface WrittenSection {
  readonly name: string;
  readonly content: Uint8Array;
  /** The declared length in memory. Default: the content's length. */
  readonly virtualSize?: number;
  /** The declared address in memory. Default: behind the sections before it. */
  readonly virtualAddress?: number;
}

/** The offsets in the written images. */
export const WRITTEN_PE = {
  peOffset: 0x80,
  optionalOffset: 0x98,
  checksumOffset: 0xd8,
  certificateEntryOffset: 0x128,
  tableOffset: 0x188,
  headerBytes: 0x400,
} as const;
const FILE_ALIGNMENT = 0x200;
const PAGE = 0x10000;

/** `.sdmagic` of a program of systemd. */
export function magicSection(program: string): WrittenSection {
  return { name: ".sdmagic", content: utf8(`#### LoaderInfo: ${program} ####\0`) };
}

/** `.sdmagic` of the oldest known stub. */
export const STUB_252: WrittenSection = magicSection("systemd-stub 252.39-1~deb12u2");

/** Writes a PE32+ image of these sections, one after the other, then `tail` and a certificate table. */
export function writePe(
  sections: readonly WrittenSection[],
  {
    tail = new Uint8Array(),
    certificates = new Uint8Array(),
    majorImageVersion = 1,
    headerBytes = WRITTEN_PE.headerBytes,
  }: {
    readonly tail?: Uint8Array;
    readonly certificates?: Uint8Array;
    readonly majorImageVersion?: number;
    /** Default: enough for 15 sections. */
    readonly headerBytes?: number;
  } = {},
): Bytes {
  const { peOffset } = WRITTEN_PE;
  const padded = sections.map(({ content }) =>
    concat(content, new Uint8Array((FILE_ALIGNMENT - content.length % FILE_ALIGNMENT) % FILE_ALIGNMENT))
  );
  let offset: number = headerBytes;
  const table = sections.map(({ name, content, virtualSize = content.length, virtualAddress }, i) => {
    const rawSize = padded[i]?.length ?? 0;
    const at = offset;
    offset += rawSize;
    const fields = [virtualSize, virtualAddress ?? PAGE * (i + 1), rawSize, rawSize === 0 ? 0 : at, 0, 0, 0, 0].map((
      field,
    ) => le(field, 4));
    return concat(utf8(name.padEnd(8, "\0")), ...fields);
  });
  const end = offset + tail.length;
  const directories = Array.from(
    { length: 16 },
    (_, i) => i === 4 && certificates.length > 0 ? concat(le(end, 4), le(certificates.length, 4)) : new Uint8Array(8),
  );
  const headers = concat(
    ...[utf8("MZ"), new Uint8Array(0x3c - 2), le(peOffset, 4), new Uint8Array(peOffset - 0x40)],
    ...[utf8("PE\0\0"), le(0x8664, 2), le(sections.length, 2), new Uint8Array(12), le(240, 2), le(0, 2)],
    ...[
      le(0x20b, 2),
      new Uint8Array(42),
      le(majorImageVersion, 2),
      new Uint8Array(14),
      le(headerBytes, 4),
      le(0xc0ffee, 4),
      new Uint8Array(40),
      le(16, 4),
    ],
    ...directories,
    ...table,
  );
  return concat(headers, new Uint8Array(headerBytes - headers.length), ...padded, tail, certificates);
}

/** Returns a kernel in the section in which the stub expects it. */
export function kernelSection(content: string, majorImageVersion = 1): WrittenSection {
  return { name: ".linux", content: writePe([{ name: ".text", content: utf8(content) }], { majorImageVersion }) };
}
