/**
 * Distinguished names (RFC 5280, 4.1.2.4).
 *
 * @module
 */
import type { Bytes } from "../platform/bytes.ts";
import { copyOf } from "../platform/bytes.ts";
import type { DerReader } from "./der.ts";
import { derError, readDer, TAG } from "./der.ts";

/** OIDs of the attributes that this project writes or compares. */
export const ATTRIBUTE = {
  commonName: "2.5.4.3",
  organization: "2.5.4.10",
} as const;

/** One attribute of a name. */
export interface NameAttribute {
  /** The attribute's type, dotted. */
  readonly oid: string;
  /** Its text. */
  readonly value: string;
}

/** A distinguished name. */
export interface Name {
  /** The DER encoding, for comparing issuer and subject. */
  readonly der: Bytes;
  /** The attributes in order; several that stand in one RDN come one after the other. */
  readonly attributes: readonly NameAttribute[];
}

const MAXIMUM_ATTRIBUTES = 32;

/**
 * Reads the next element as a Name.
 *
 * @param reader Where it comes next.
 * @param what The field, for errors.
 * @param order `any` for vendors that do not sort an RDN with several attributes, as DER wants.
 * @throws {BootstrapError} `malformed/der`.
 */
export function readName(reader: DerReader, what: string, order: "ascending" | "any" = "ascending"): Name {
  const element = reader.element(TAG.sequence);
  const rdns = readDer(element.bytes, what).inside();
  const attributes: NameAttribute[] = [];
  while (!rdns.atEnd) {
    const rdn = rdns.setOf(order);
    if (rdn.length === 0) throw derError(what, "a relative distinguished name is empty");
    for (const { bytes } of rdn) {
      const attribute = readDer(bytes, what).inside();
      attributes.push({ oid: attribute.oid(), value: attribute.text() });
      attribute.end();
    }
    if (attributes.length > MAXIMUM_ATTRIBUTES) {
      throw derError(what, `it has more than ${MAXIMUM_ATTRIBUTES} attributes`);
    }
  }
  return { der: copyOf(element.bytes), attributes };
}

/** A name for people, as `O=system:nodes, CN=system:node:one`; attributes without a short name by their OID. */
export function nameText(attributes: readonly NameAttribute[]): string {
  const short: Readonly<Record<string, string>> = { [ATTRIBUTE.commonName]: "CN", [ATTRIBUTE.organization]: "O" };
  return attributes.map(({ oid, value }) => `${short[oid] ?? oid}=${value}`).join(", ") || "(empty)";
}

/** Whether two lists of attributes are the same, in whatever order: each of one is in the other, as often. */
export function sameAttributes(a: readonly NameAttribute[], b: readonly NameAttribute[]): boolean {
  const sorted = (list: readonly NameAttribute[]) => list.map(({ oid, value }) => JSON.stringify([oid, value])).sort();
  const [left, right] = [sorted(a), sorted(b)];
  return left.length === right.length && left.every((attribute, index) => attribute === right[index]);
}
