/**
 * Makes certificates and requests. The project's own strict reader reads every result back.
 *
 * @module
 */
import type { Bytes } from "../platform/bytes.ts";
import { randomBytes, sha256, utf8 } from "../platform/bytes.ts";
import { contextTag, readDer, TAG } from "./der.ts";
import {
  derBits,
  derBoolean,
  derElement,
  derNumber,
  derOctets,
  derOid,
  derSequence,
  derText,
  derTime,
  derUnsigned,
} from "./der_writer.ts";
import { EXTENSION, KEY_USAGES, type KeyUsage, subjectKeyIdentifier } from "./extensions.ts";
import { ISSUER_ALGORITHMS, type IssuerKey } from "./issuer_key.ts";
import type { KeyPair } from "./keys.ts";
import type { NameAttribute } from "./name.ts";
import { type Certificate, readCertificate } from "./x509.ts";

/** The contents of a certificate to be made. */
export interface CertificateTemplate {
  readonly subject: readonly NameAttribute[];
  /** The subject's SPKI, DER. */
  readonly spki: Bytes;
  /** The first valid second. */
  readonly notBefore: Date;
  /** The last valid second. */
  readonly notAfter: Date;
  readonly isCa: boolean;
  readonly keyUsage: readonly KeyUsage[];
  /** OIDs; the extension is left out if empty. */
  readonly extKeyUsage: readonly string[];
  /** The subject's alternative DNS names; the extension is left out if there are no names and no addresses. */
  readonly dnsNames: readonly string[];
  /** The subject's alternative IP addresses, 4 or 16 bytes each. Default: none. */
  readonly addresses?: readonly Uint8Array[];
}

/** A certificate that is complete but for its signature. */
export interface UnsignedCertificate {
  /** The TBSCertificate, DER: the bytes to be signed. */
  readonly tbs: Bytes;
  /** 16 octets. */
  readonly serialNumber: Bytes;
  readonly notAfter: Date;
  /** Signs exactly {@linkcode tbs}. */
  sign(): Promise<Certificate>;
}

/** The signer of a certificate: its key, and its certificate unless the new certificate is self-signed. */
export interface Signer {
  readonly keys: IssuerKey;
  /** The signer's certificate. If absent, the new certificate is self-signed. */
  readonly certificate?: Certificate;
}

/** The versions as they are written: from 0 on (RFC 5280, 4.1.2.1; RFC 2986, 4.1). */
const CERTIFICATE_VERSION_3 = 2;
const REQUEST_VERSION_1 = 0;
const SERIAL_BYTES = 16;
/** RFC 7093, 2. */
const KEY_IDENTIFIER_BYTES = 20;
const VERSION = contextTag(0, "constructed");
const EXTENSIONS = contextTag(3, "constructed");
const ATTRIBUTES = contextTag(0, "constructed");
/** The keyIdentifier of an AuthorityKeyIdentifier (RFC 5280, 4.2.1.1). */
const KEY_IDENTIFIER = contextTag(0, "primitive");
/** The choices of a GeneralName (RFC 5280, 4.2.1.6). */
const DNS_NAME = contextTag(2, "primitive");
const IP_ADDRESS = contextTag(7, "primitive");

/** Makes and signs a certificate with a random serial number of 16 octets. */
export async function mintCertificate(template: CertificateTemplate, signer: Signer): Promise<Certificate> {
  return await (await prepareCertificate(template, signer)).sign();
}

/** Makes a certificate with a random serial number of 16 octets, which is not signed yet. */
export async function prepareCertificate(template: CertificateTemplate, signer: Signer): Promise<UnsignedCertificate> {
  const serialNumber = randomSerial();
  const notAfter = wholeSecond(template.notAfter);
  const subject = nameOf(template.subject);
  const tbs = derSequence(
    derElement(VERSION, derNumber(CERTIFICATE_VERSION_3)),
    derUnsigned(serialNumber),
    ISSUER_ALGORITHMS[signer.keys.type].identifier,
    signer.certificate?.subject.der ?? subject,
    derSequence(derTime(wholeSecond(template.notBefore)), derTime(notAfter)),
    subject,
    template.spki,
    derElement(EXTENSIONS, derSequence(...await extensionsOf(template, signer))),
  );
  return {
    tbs,
    serialNumber,
    notAfter,
    sign: async () => readCertificate(await signedDer(tbs, signer.keys), "new certificate"),
  };
}

/** Makes and signs a PKCS#10 request without attributes. The key is a P-256 key. */
export async function mintRequest(subject: readonly NameAttribute[], keys: KeyPair): Promise<Bytes> {
  const info = derSequence(derNumber(REQUEST_VERSION_1), nameOf(subject), keys.spki, derElement(ATTRIBUTES));
  return await signedDer(info, keys);
}

/** `SEQUENCE { signed, algorithm, signature }` (RFC 5280, 4.1; RFC 2986, 4.2). */
async function signedDer(signed: Bytes, { type, privateKey }: IssuerKey): Promise<Bytes> {
  const { identifier, parameters } = ISSUER_ALGORITHMS[type];
  const raw = new Uint8Array(await crypto.subtle.sign(parameters, privateKey, signed));
  return derSequence(signed, identifier, derBits(parameters.name === "ECDSA" ? derEcdsa(raw) : raw));
}

/** The form of ECDSA signatures in X.509 (RFC 3279, 2.2.3), of r ‖ s. */
function derEcdsa(raw: Uint8Array): Bytes {
  return derSequence(derUnsigned(raw.subarray(0, raw.length / 2)), derUnsigned(raw.subarray(raw.length / 2)));
}

async function extensionsOf(template: CertificateTemplate, signer: Signer): Promise<Bytes[]> {
  const { isCa, keyUsage, extKeyUsage } = template;
  const names = alternativeNames(template);
  const isSelfSigned = signer.certificate === undefined;
  return [
    extension(EXTENSION.keyUsage, true, keyUsageBits(keyUsage)),
    ...(extKeyUsage.length === 0 ? [] : [
      extension(EXTENSION.extKeyUsage, false, derSequence(...extKeyUsage.map(derOid))),
    ]),
    extension(EXTENSION.basicConstraints, true, derSequence(...(isCa ? [derBoolean(true)] : []))),
    extension(EXTENSION.subjectKeyIdentifier, false, derOctets(await keyIdentifier(template.spki))),
    ...(isSelfSigned ? [] : [
      extension(
        EXTENSION.authorityKeyIdentifier,
        false,
        derSequence(derElement(KEY_IDENTIFIER, await issuerIdentifier(signer))),
      ),
    ]),
    ...(names.length === 0 ? [] : [extension(EXTENSION.subjectAltName, false, derSequence(...names))]),
  ];
}

function alternativeNames({ dnsNames, addresses = [] }: CertificateTemplate): Bytes[] {
  return [
    ...dnsNames.map((name) => derElement(DNS_NAME, utf8(name))),
    ...addresses.map((address) => derElement(IP_ADDRESS, address)),
  ];
}

/** DER leaves out the default, FALSE. */
function extension(oid: string, isCritical: boolean, value: Bytes): Bytes {
  return derSequence(derOid(oid), ...(isCritical ? [derBoolean(true)] : []), derOctets(value));
}

/** Method 1 of RFC 7093, 2: the leftmost 160 bits of the SHA-256 of the key's bits. */
async function keyIdentifier(spki: Uint8Array): Promise<Bytes> {
  const reader = readDer(spki, "SPKI").inside();
  reader.element();
  return (await sha256(reader.octetBits())).slice(0, KEY_IDENTIFIER_BYTES);
}

/** The identifier in the issuer's certificate: a CA of another maker may have made it by another method. */
async function issuerIdentifier({ keys, certificate }: Signer): Promise<Bytes> {
  return (certificate && subjectKeyIdentifier(certificate)) ?? await keyIdentifier(keys.spki);
}

function keyUsageBits(usages: readonly KeyUsage[]): Bytes {
  const octet = usages.reduce((bits, usage) => bits | 0x80 >> KEY_USAGES.indexOf(usage), 0);
  // DER ends a string of named bits at the last bit that is set.
  return derBits(Uint8Array.of(octet), 31 - Math.clz32(octet & -octet));
}

/** One RDN per attribute. */
function nameOf(attributes: readonly NameAttribute[]): Bytes {
  return derSequence(
    ...attributes.map(({ oid, value }) => derElement(TAG.set, derSequence(derOid(oid), derText(value)))),
  );
}

function wholeSecond(date: Date): Date {
  return new Date(Math.floor(date.getTime() / 1000) * 1000);
}

/** A positive serial number of constant length: its first octet is 40 to 7F. */
function randomSerial(): Bytes {
  const serial = randomBytes(SERIAL_BYTES);
  serial[0] = (serial[0] ?? 0) & 0x3f | 0x40;
  return serial;
}
