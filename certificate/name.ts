/**
 * Distinguished names (RFC 5280, 4.1.2.4).
 *
 * @module
 */
import type { Bytes } from "../platform/bytes.ts";
import { copyOf, equalBytes } from "../platform/bytes.ts";
import type { DerReader } from "./der.ts";
import { derError, readDer, TAG } from "./der.ts";

/** OIDs of the attributes that this project writes or compares. */
export const ATTRIBUTE = {
  commonName: "2.5.4.3",
  organization: "2.5.4.10",
} as const;

/** One attribute of a name. */
export interface NameAttribute {
  /** The dotted OID of the type. */
  readonly oid: string;
  readonly value: string;
}

/** A distinguished name. */
export interface Name {
  /** The DER encoding, for comparing issuer and subject. */
  readonly der: Bytes;
  /** The attributes in order. Attributes of one RDN are adjacent. */
  readonly attributes: readonly NameAttribute[];
}

const MAXIMUM_ATTRIBUTES = 32;

/**
 * Reads the next element as a Name.
 *
 * @param reader The reader of the elements around it.
 * @param what The name of the field, for errors.
 * @param order `any` for vendors that do not sort the attributes of an RDN, as DER requires.
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

/**
 * Formats a name for people, such as `O=system:nodes, CN=system:node:one`. Attributes without a short name appear by
 * OID.
 */
export function nameText(attributes: readonly NameAttribute[]): string {
  const short: Readonly<Record<string, string>> = {
    [ATTRIBUTE.commonName]: "CN",
    [ATTRIBUTE.organization]: "O",
    "2.5.4.5": "serialNumber",
    "2.5.4.6": "C",
    "2.5.4.7": "L",
    "2.5.4.8": "ST",
    "2.5.4.11": "OU",
  };
  return attributes.map(({ oid, value }) => `${short[oid] ?? oid}=${value}`).join(", ") || "(empty)";
}

/**
 * Reports whether two names have the same attributes in the same order. The types of the strings may differ, as between
 * an authority's subject and the issuer in its certificates (RFC 5280, 7.1).
 */
export function sameName(a: Name, b: Name): boolean {
  return equalBytes(a.der, b.der) ||
    a.attributes.length === b.attributes.length && a.attributes.length > 0 &&
      a.attributes.every(({ oid, value }, index) =>
        oid === b.attributes[index]?.oid && value === b.attributes[index]?.value
      );
}

/** Reports whether two lists hold the same attributes, each as often as in the other, in any order. */
export function sameAttributes(a: readonly NameAttribute[], b: readonly NameAttribute[]): boolean {
  const sorted = (list: readonly NameAttribute[]) => list.map(({ oid, value }) => JSON.stringify([oid, value])).sort();
  const [left, right] = [sorted(a), sorted(b)];
  return left.length === right.length && left.every((attribute, index) => attribute === right[index]);
}
