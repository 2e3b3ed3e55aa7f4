/**
 * TCB_VERSION: the security versions of a processor's firmware (AMD 56860, table 3).
 *
 * @module
 */
import { hex } from "../../../platform/bytes.ts";
import { BootstrapError } from "../../../platform/errors.ts";

/** The parts of a TCB, in the order in which they are shown to people. */
export const TCB_COMPONENTS = ["fmc", "bootloader", "tee", "snp", "microcode"] as const;

/** The security version of each part, 0 to 255. */
export interface Tcb {
  /** The first mutable code of the processor. Turin and later only. */
  readonly fmc?: number;
  /** The secure processor's boot loader. */
  readonly bootloader: number;
  /** The secure processor's operating system. */
  readonly tee: number;
  /** The SNP firmware. */
  readonly snp: number;
  /** The lowest microcode version of all cores. */
  readonly microcode: number;
  /** The parts without a name that are not zero, by their place, 0 to 7. */
  readonly unnamed?: Readonly<Record<number, number>>;
}

/** The layout of the parts: as in Milan and Genoa, or as in Turin. */
export type TcbForm = "milan" | "turin";

/** The size of a TCB_VERSION. */
export const TCB_BYTES = 8;
const PLACES: readonly number[] = Array.from({ length: TCB_BYTES }, (_, place) => place);

const OFFSETS: Readonly<Record<TcbForm, Readonly<Partial<Record<typeof TCB_COMPONENTS[number], number>>>>> = Object
  .freeze({
    milan: { bootloader: 0, tee: 1, snp: 6, microcode: 7 },
    turin: { fmc: 0, bootloader: 1, tee: 2, snp: 3, microcode: 7 },
  });

/**
 * Reads a TCB_VERSION.
 *
 * @param bytes 8 bytes.
 * @param form The layout of the processor.
 * @param what The field, for errors.
 * @throws {BootstrapError} `malformed/snp-tcb` for another length.
 */
export function readTcb(bytes: Uint8Array, form: TcbForm, what: string): Tcb {
  const offsets = OFFSETS[form];
  const known: readonly number[] = Object.values(offsets);
  if (bytes.length !== TCB_BYTES) {
    const message = `Cannot read "${what}" as ${hex(bytes)} is not a TCB, which has ${TCB_BYTES} bytes`;
    throw new BootstrapError("malformed/snp-tcb", message, { details: { field: what } });
  }
  const unnamed = [...bytes.entries()].filter(([offset, byte]) => byte !== 0 && !known.includes(offset));
  const at = (offset = 0) => bytes[offset] ?? 0;
  return {
    ...(offsets.fmc === undefined ? {} : { fmc: at(offsets.fmc) }),
    bootloader: at(offsets.bootloader),
    tee: at(offsets.tee),
    snp: at(offsets.snp),
    microcode: at(offsets.microcode),
    ...(unnamed.length === 0 ? {} : { unnamed: Object.fromEntries(unnamed) }),
  };
}

/** Tells whether each part of a TCB is at least as new as in a minimum. A missing part counts as 0. */
export function isAtLeast(tcb: Tcb, minimum: Tcb): boolean {
  return TCB_COMPONENTS.every((component) => (tcb[component] ?? 0) >= (minimum[component] ?? 0)) &&
    PLACES.every((place) => (tcb.unnamed?.[place] ?? 0) >= (minimum.unnamed?.[place] ?? 0));
}

/** Tells whether two TCBs are the same. A TCB with an FMC differs from a TCB without one. */
export function isSameTcb(a: Tcb, b: Tcb): boolean {
  return TCB_COMPONENTS.every((component) => a[component] === b[component]) &&
    PLACES.every((place) => (a.unnamed?.[place] ?? 0) === (b.unnamed?.[place] ?? 0));
}

/** Formats a TCB for people, such as `bootloader 3, tee 0, snp 8, microcode 115`. */
export function tcbText(tcb: Tcb): string {
  return [
    ...TCB_COMPONENTS.filter((component) => tcb[component] !== undefined)
      .map((component) => `${component} ${tcb[component]}`),
    ...Object.entries(tcb.unnamed ?? {}).map(([place, value]) => `byte ${place} ${value}`),
  ].join(", ");
}
