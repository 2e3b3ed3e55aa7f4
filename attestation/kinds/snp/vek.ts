/**
 * Certificates of the keys that sign SNP reports: a VCEK of one chip, or a VLEK of one cloud (AMD 57230, 3.1).
 *
 * @module
 */
import type { Certificate } from "../../../certificate/x509.ts";
import { derError, readDer, TAG } from "../../../certificate/der.ts";
import type { Bytes } from "../../../platform/bytes.ts";
import { copyOf } from "../../../platform/bytes.ts";
import type { Product } from "./amd_roots.ts";
import type { Tcb, TcbForm } from "./tcb.ts";
import { readTcb } from "./tcb.ts";

/** A certificate's statements about its key. */
export interface VekExtensions {
  /** The processor, such as `Milan-B0`. */
  readonly productName: string;
  /** The TCB that the key was derived for. */
  readonly tcb: Tcb;
  /** The chip, 64 bytes, or 8 on Turin. Present exactly for a VCEK. */
  readonly hardwareId?: Bytes;
  /** The cloud. Present exactly for a VLEK. */
  readonly providerId?: string;
}

const AMD = "1.3.6.1.4.1.3704.1";
const STRUCT_VERSION = `${AMD}.1`;
const PRODUCT_NAME = `${AMD}.2`;
const HARDWARE_ID = `${AMD}.4`;
const PROVIDER_ID = `${AMD}.5`;
const part = (number: number) => `${AMD}.3.${number}`;

/** The extension of each byte of a TCB_VERSION, in order. Reserved bytes may be left out. */
const TCB_EXTENSIONS: Readonly<Record<TcbForm, readonly string[]>> = Object.freeze({
  milan: [part(1), part(2), part(4), part(5), part(6), part(7), part(3), part(8)],
  turin: [part(9), part(1), part(2), part(3), part(5), part(6), part(7), part(8)],
});
const RESERVED: readonly string[] = [part(4), part(5), part(6), part(7)];
/** Every known part, of all layouts. All are read, so that no part is overlooked. */
const PARTS: readonly string[] = [1, 2, 3, 4, 5, 6, 7, 8, 9].map(part);

/** All extensions that are read here, for the check of critical extensions. */
export const VEK_EXTENSIONS: readonly string[] = [STRUCT_VERSION, PRODUCT_NAME, HARDWARE_ID, PROVIDER_ID, ...PARTS];

/** The TCB layout of a line of processors. */
export function tcbFormOf(product: Product): TcbForm {
  return product === "turin" ? "turin" : "milan";
}

/** Names the line of AMD processors with SNP by family and model (AMD 57230; Linux, arch/x86/kernel/cpu/amd.c). */
export function lineOf({ family, model }: { readonly family: number; readonly model: number }): string {
  if (family === 0x19 && model <= 0x0f) return "milan";
  if (family === 0x19 && ((model >= 0x10 && model <= 0x1f) || (model >= 0xa0 && model <= 0xaf))) return "genoa";
  if (family === 0x1a && model <= 0x1f) return "turin";
  return `family ${family.toString(16)}, model ${model.toString(16)}`;
}

/**
 * Reads AMD's extensions in a certificate.
 *
 * @param certificate The certificate.
 * @param kind The kind that it must be of: a VCEK names a chip and no cloud, a VLEK names a cloud and no chip.
 * @param product The line of processors, known from its root.
 * @throws {BootstrapError} `malformed/der` for an extension that is missing, malformed, or of the other kind;
 *   `malformed/snp-tcb`.
 */
export function readVekExtensions(certificate: Certificate, kind: "vcek" | "vlek", product: Product): VekExtensions {
  const form = tcbFormOf(product);
  needed(certificate, STRUCT_VERSION, readByte);
  const productName = needed(certificate, PRODUCT_NAME, readText);
  const tcb = readTcbParts(certificate, form);
  const hardwareId = optional(certificate, HARDWARE_ID, (value, what) => readHardwareId(value, product, what));
  const providerId = optional(certificate, PROVIDER_ID, readText);
  if ((hardwareId !== undefined) !== (kind === "vcek") || (providerId !== undefined) !== (kind === "vlek")) {
    throw derError(`${kind.toUpperCase()} certificate`, "a VCEK must name only a chip, a VLEK only a cloud");
  }
  return {
    productName,
    tcb,
    ...(hardwareId === undefined ? {} : { hardwareId }),
    ...(providerId === undefined ? {} : { providerId }),
  };
}

function readTcbParts(certificate: Certificate, form: TcbForm): Tcb {
  const values = TCB_EXTENSIONS[form].map((oid) =>
    RESERVED.includes(oid) ? optional(certificate, oid, readByte) ?? 0 : needed(certificate, oid, readByte)
  );
  const others = PARTS.filter((oid) => !TCB_EXTENSIONS[form].includes(oid));
  for (const oid of others) {
    const value = optional(certificate, oid, readByte) ?? 0;
    if (value !== 0) throw derError(`extension ${oid}`, `it is ${value}, but the processor has no such part`);
  }
  return readTcb(Uint8Array.from(values), form, "certificate's TCB");
}

/**
 * Reads a chip ID. AMD writes the bytes without a tag. An OCTET STRING of the same content is also read; the length
 * distinguishes them.
 */
function readHardwareId(value: Bytes, product: Product, what: string): Bytes {
  const length = product === "turin" ? 8 : 64;
  if (value.length === length) return copyOf(value);
  const octets = readDer(value, what).element(TAG.octetString).content;
  if (octets.length !== length) throw derError(what, `a chip ID has ${length} bytes, not ${octets.length}`);
  return copyOf(octets);
}

function readByte(value: Bytes, what: string): number {
  return readDer(value, what).small(0xff);
}

function readText(value: Bytes, what: string): string {
  const reader = readDer(value, what);
  if (!reader.next(TAG.ia5String)) throw derError(what, "it is not an IA5String");
  const text = reader.text();
  if (text === "") throw derError(what, "it is empty");
  return text;
}

function needed<T>(certificate: Certificate, oid: string, read: (value: Bytes, what: string) => T): T {
  const value = optional(certificate, oid, read);
  if (value === undefined) throw derError(`extension ${oid}`, "it is missing");
  return value;
}

function optional<T>(
  certificate: Certificate,
  oid: string,
  read: (value: Bytes, what: string) => T,
): T | undefined {
  const extension = certificate.extensions.find((candidate) => candidate.oid === oid);
  return extension === undefined ? undefined : read(extension.value, `extension ${oid}`);
}
