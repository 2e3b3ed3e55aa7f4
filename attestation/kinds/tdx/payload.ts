/**
 * The encoding of a TD's evidence, little-endian: `u16 version`, then the quote and the six parts of the collateral,
 * each after its 32-bit length. A part that the machine does not have is empty.
 *
 * @module
 */
import { ByteWriter } from "../../../platform/byte_writer.ts";
import type { Bytes } from "../../../platform/bytes.ts";
import { BootstrapError } from "../../../platform/errors.ts";
import { structureReader } from "./_structure.ts";
import { COLLATERAL_PARTS, type TdxCollateral } from "./collateral.ts";
import { MAXIMUM_QUOTE_BYTES } from "./quote.ts";

/** The parts of a TD's evidence. */
export interface TdxPayload {
  /** The quote, with no bytes after it. */
  readonly quote: Uint8Array;
  /** The parts of the collateral that come with the quote. */
  readonly collateral: Partial<TdxCollateral>;
}

const VERSION = 1;
/** The size limit of a part. The largest known part, a PCK CRL, has 3 KiB. */
const MAXIMUM_PART_BYTES = 1 << 18;

/** Encodes evidence. */
export function encodeTdxPayload({ quote, collateral }: TdxPayload): Bytes {
  const writer = new ByteWriter("little-endian").u16(VERSION).sized32(quote);
  for (const part of COLLATERAL_PARTS) writer.sized32(collateral[part] ?? new Uint8Array());
  return writer.done();
}

/**
 * Reads the outer form of evidence. It does not look into the parts.
 *
 * @throws {BootstrapError} `malformed/tdx-evidence`, `malformed/evidence-version`.
 */
export function decodeTdxPayload(bytes: Uint8Array): TdxPayload {
  const reader = structureReader(bytes, "evidence");
  const version = reader.u16("version");
  if (version !== VERSION) {
    const message = `Cannot read TDX evidence of version ${version}, only ${VERSION}`;
    throw new BootstrapError("malformed/evidence-version", message);
  }
  const quote = reader.sized32(MAXIMUM_QUOTE_BYTES, "quote");
  const parts = COLLATERAL_PARTS.map((part) => [part, reader.sized32(MAXIMUM_PART_BYTES, part)] as const);
  reader.end();
  return { quote, collateral: Object.fromEntries(parts.filter(([, part]) => part.length > 0)) };
}
