/**
 * A writer of SMBIOS tables for tests.
 *
 * @module
 */
import type { Bytes } from "../../platform/bytes.ts";
import { concat, utf8 } from "../../platform/bytes.ts";

/** A structure: its type, the rest of its formatted area, and its strings. */
export interface WrittenStructure {
  readonly type: number;
  readonly area?: Uint8Array;
  readonly strings?: readonly (string | Uint8Array)[];
}

const ZERO = new Uint8Array(1);

/** Writes a structure. */
export function writeStructure({ type, area = ZERO, strings = [] }: WrittenStructure): Bytes {
  const set = strings.flatMap((text) => [typeof text === "string" ? utf8(text) : text, ZERO]);
  return concat(Uint8Array.of(type, 4 + area.length, 0x34, 0x12), area, ...(set.length === 0 ? [ZERO] : set), ZERO);
}

/** Writes a table as a machine has it: its firmware, these strings of type 11, and the end. */
export function writeSmbios(...strings: readonly (string | Uint8Array)[]): Bytes {
  return concat(
    writeStructure({ type: 0, area: new Uint8Array(14), strings: ["EFI", "0.0.0"] }),
    writeStructure({ type: 11, area: Uint8Array.of(strings.length), strings }),
    writeStructure({ type: 32, area: new Uint8Array(7) }),
    writeStructure({ type: 127, area: new Uint8Array() }),
  );
}
