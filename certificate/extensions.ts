/**
 * The certificate extensions that this project reads (RFC 5280, 4.2.1).
 *
 * Each reader returns `undefined` if the certificate does not have the extension, and throws `malformed/der` if the
 * extension is not exact DER.
 *
 * @module
 */
import type { Bytes } from "../platform/bytes.ts";
import { copyOf } from "../platform/bytes.ts";
import { BootstrapError } from "../platform/errors.ts";
import type { DerReader } from "./der.ts";
import { contextTag, derError, readDer, TAG } from "./der.ts";
import { type Name, readName } from "./name.ts";
import type { Certificate } from "./x509.ts";

/** OIDs of extensions. */
export const EXTENSION = {
  subjectKeyIdentifier: "2.5.29.14",
  keyUsage: "2.5.29.15",
  subjectAltName: "2.5.29.17",
  basicConstraints: "2.5.29.19",
  authorityKeyIdentifier: "2.5.29.35",
  extKeyUsage: "2.5.29.37",
} as const;

/** OIDs of extended key usages. */
export const EXT_KEY_USAGE = {
  serverAuth: "1.3.6.1.5.5.7.3.1",
  clientAuth: "1.3.6.1.5.5.7.3.2",
  /** TCG EK Credential Profile 2.5, 3.5.1: an endorsement key's certificate. */
  tcgEkCertificate: "2.23.133.8.1",
} as const;

/** The key usages, in the order of their bits. */
export const KEY_USAGES = [
  "digitalSignature",
  "contentCommitment",
  "keyEncipherment",
  "dataEncipherment",
  "keyAgreement",
  "keyCertSign",
  "cRLSign",
  "encipherOnly",
  "decipherOnly",
] as const;

/** A key usage. */
export type KeyUsage = typeof KEY_USAGES[number];

/** Whether the subject is a CA, and how many CAs may follow below it. */
export interface BasicConstraints {
  readonly isCa: boolean;
  /** The path length constraint, if present. */
  readonly pathLength?: number;
}

/** An alternative name of the subject. Kinds that this project does not read are kept as bytes. */
export type AlternativeName =
  | { readonly type: "dns"; readonly value: string }
  | { readonly type: "ip"; readonly value: Bytes }
  | { readonly type: "directoryName"; readonly value: Name }
  | { readonly type: "other"; readonly value: Bytes };

/** A structure with extensions: a certificate, or a request. */
export type Extended = Pick<Certificate, "extensions" | "profile">;

const MAXIMUM_PATH_LENGTH = 255;
const MAXIMUM_NAMES = 64;
const MAXIMUM_IDENTIFIER_BYTES = 64;
const DNS_TAG = contextTag(2, "primitive");
const DIRECTORY_NAME_TAG = contextTag(4, "constructed");
const IP_TAG = contextTag(7, "primitive");

/** Reads the basic constraints. */
export function basicConstraints(certificate: Certificate): BasicConstraints | undefined {
  return readExtension(certificate, EXTENSION.basicConstraints, (outer, what) => {
    const reader = outer.inside();
    const isMarked = reader.next(TAG.boolean);
    const isCa = isMarked && reader.boolean();
    if (isMarked && !isCa && certificate.profile === "strict") throw derError(what, "cA is FALSE, which DER omits");
    const constraints = reader.atEnd ? { isCa } : { isCa, pathLength: reader.small(MAXIMUM_PATH_LENGTH) };
    reader.end();
    return constraints;
  });
}

/** Reads the key usages. */
export function keyUsage(certificate: Certificate): ReadonlySet<KeyUsage> | undefined {
  return readExtension(certificate, EXTENSION.keyUsage, (outer, what) => {
    const usages = new Set<KeyUsage>();
    for (const bit of outer.namedBits(certificate.profile === "vendor" ? "any" : "minimal")) {
      const usage = KEY_USAGES[bit];
      // A bit without a name allows nothing that this project asks for.
      if (usage === undefined && certificate.profile === "strict") {
        throw derError(what, `key usage ${bit} does not exist`);
      }
      if (usage !== undefined) usages.add(usage);
    }
    return usages;
  });
}

/** Reads the extended key usages, as dotted OIDs. */
export function extKeyUsage(certificate: Certificate): readonly string[] | undefined {
  return readExtension(certificate, EXTENSION.extKeyUsage, (outer, what) => {
    const reader = outer.inside();
    const usages: string[] = [];
    while (!reader.atEnd) usages.push(reader.oid());
    if (usages.length === 0 || usages.length > MAXIMUM_NAMES) {
      throw derError(what, "its number of usages is out of range");
    }
    return usages;
  });
}

/** Reads the subject's alternative names from a certificate or request. */
export function subjectAltName(certificate: Extended): readonly AlternativeName[] | undefined {
  const order = certificate.profile === "vendor" ? "any" : "ascending";
  return readExtension(certificate, EXTENSION.subjectAltName, (outer, what) => {
    const reader = outer.inside();
    const names: AlternativeName[] = [];
    while (!reader.atEnd) names.push(readAlternativeName(reader, what, order));
    if (names.length === 0 || names.length > MAXIMUM_NAMES) throw derError(what, "its number of names is out of range");
    return names;
  });
}

/** Reads the subject's key identifier, 1 to 64 octets. */
export function subjectKeyIdentifier(certificate: Certificate): Bytes | undefined {
  return readExtension(certificate, EXTENSION.subjectKeyIdentifier, (reader, what) => {
    const identifier = copyOf(reader.octets());
    reader.end();
    if (identifier.length === 0 || identifier.length > MAXIMUM_IDENTIFIER_BYTES) {
      throw derError(what, "its length is out of range");
    }
    return identifier;
  });
}

/**
 * Refuses a certificate with a critical extension that the caller does not evaluate.
 *
 * @param certificate The certificate.
 * @param known The OIDs of the extensions that the caller evaluates.
 * @throws {BootstrapError} `refused/critical-extension`.
 */
export function refuseUnknownCritical(certificate: Certificate, known: readonly string[]): void {
  const unknown = certificate.extensions.find(({ critical, oid }) => critical && !known.includes(oid));
  if (unknown === undefined) return;
  throw new BootstrapError(
    "refused/critical-extension",
    `A certificate has the unknown critical extension ${unknown.oid}`,
    {
      details: { check: "critical-extension", expected: known.join(", "), seen: unknown.oid },
    },
  );
}

function readAlternativeName(reader: DerReader, what: string, order: "ascending" | "any"): AlternativeName {
  const { tag, bytes, content } = reader.element();
  if (tag === DNS_TAG) return { type: "dns", value: asciiText(content, what) };
  if (tag === IP_TAG) {
    if (content.length !== 4 && content.length !== 16) {
      throw derError(what, "an IP address has neither 4 nor 16 octets");
    }
    return { type: "ip", value: copyOf(content) };
  }
  if (tag === DIRECTORY_NAME_TAG) {
    return { type: "directoryName", value: readName(readDer(content, what), what, order) };
  }
  return { type: "other", value: copyOf(bytes) };
}

function asciiText(content: Uint8Array, what: string): string {
  const text = String.fromCharCode(...content);
  if (!/^[\x21-\x7e]+$/.test(text)) throw derError(what, "a DNS name is empty or has a character outside ASCII");
  return text;
}

function readExtension<T>(
  certificate: Extended,
  oid: string,
  read: (reader: DerReader, what: string) => T,
): T | undefined {
  const extension = certificate.extensions.find((candidate) => candidate.oid === oid);
  if (extension === undefined) return undefined;
  const what = `extension ${oid}`;
  return read(readDer(extension.value, what), what);
}
