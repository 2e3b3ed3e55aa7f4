/**
 * The encoding of a TD's evidence, little-endian: `u16 version`, then the quote and the six parts of the collateral, each with its
 * length in 32 bits. A part that the machine does not have is empty.
 *
 * @module
 */
import type { Bytes } from "../../../platform/bytes.ts";
import { concat } from "../../../platform/bytes.ts";
import { BootstrapError } from "../../../platform/errors.ts";
import { LittleEndianReader, structureError } from "./_reader.ts";
import { COLLATERAL_PARTS, type TdxCollateral } from "./collateral.ts";
import { MAXIMUM_QUOTE_BYTES } from "./quote.ts";

/** The parts of a TD's evidence. */
export interface TdxPayload {
  /** The quote, with nothing behind it. */
  readonly quote: Uint8Array;
  /** What of the collateral comes with it. */
  readonly collateral: Partial<TdxCollateral>;
}

const VERSION = 1;
/** The largest part seen, a PCK CRL, has 3 KiB. */
const MAXIMUM_PART_BYTES = 1 << 18;

/** Writes evidence. */
export function encodeTdxPayload({ quote, collateral }: TdxPayload): Bytes {
  const parts = COLLATERAL_PARTS.map((part) => collateral[part] ?? new Uint8Array());
  return concat(Uint8Array.of(VERSION, 0), ...[quote, ...parts].flatMap((part) => [u32le(part.length), part]));
}

/**
 * Reads evidence: its outer form, not what is in its parts.
 *
 * @throws {BootstrapError} `malformed/tdx-evidence`, `malformed/evidence-version`.
 */
export function decodeTdxPayload(bytes: Uint8Array): TdxPayload {
  const reader = new LittleEndianReader(bytes, "evidence");
  const version = reader.u16();
  if (version !== VERSION) {
    const message = `Cannot read TDX evidence of version ${version}, only ${VERSION}`;
    throw new BootstrapError("malformed/evidence-version", message);
  }
  const quote = readPart(reader, MAXIMUM_QUOTE_BYTES);
  const parts = COLLATERAL_PARTS.map((part) => [part, readPart(reader, MAXIMUM_PART_BYTES)] as const);
  reader.end();
  return { quote, collateral: Object.fromEntries(parts.filter(([, part]) => part.length > 0)) };
}

function readPart(reader: LittleEndianReader, maximum: number): Bytes {
  const length = reader.u32();
  if (length > maximum) throw structureError("evidence", `a part of ${length} bytes is longer than ${maximum}`);
  return reader.bytes(length);
}

function u32le(value: number): Bytes {
  const out = new Uint8Array(4);
  new DataView(out.buffer).setUint32(0, value, true);
  return out;
}
