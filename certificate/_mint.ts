/**
 * Makes certificates and requests with pkijs. The project's own strict reader reads every result back.
 *
 * @module
 */
import * as asn1js from "asn1js";
import * as pkijs from "pkijs";
import type { Bytes } from "../platform/bytes.ts";
import { copyOf, randomBytes, sha256 } from "../platform/bytes.ts";
import { readDer } from "./der.ts";
import { EXTENSION, KEY_USAGES, type KeyUsage } from "./extensions.ts";
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
  /** The subject's alternative names; the extension is left out if empty. */
  readonly dnsNames: readonly string[];
}

/** The signer of a certificate: a P-256 key pair, and its certificate unless the new certificate is self-signed. */
export interface Signer {
  readonly keys: KeyPair;
  /** The signer's certificate. If absent, the new certificate is self-signed. */
  readonly certificate?: Certificate;
}

const VERSION_3 = 2;
const SERIAL_BYTES = 16;
const DNS_NAME = 2;
const FIRST_YEAR_OF_GENERALIZED_TIME = 2050;

/** Makes and signs a certificate with a random serial number of 16 octets. */
export async function mintCertificate(template: CertificateTemplate, signer: Signer): Promise<Certificate> {
  const engine = cryptoEngine();
  const certificate = new pkijs.Certificate();
  certificate.version = VERSION_3;
  certificate.serialNumber = new asn1js.Integer({ valueHex: randomSerial().buffer });
  certificate.subject = nameOf(template.subject);
  certificate.issuer = signer.certificate === undefined
    ? nameOf(template.subject)
    : new pkijs.RelativeDistinguishedNames({ schema: parsed(signer.certificate.subject.der) });
  certificate.notBefore = timeOf(template.notBefore);
  certificate.notAfter = timeOf(template.notAfter);
  certificate.subjectPublicKeyInfo = new pkijs.PublicKeyInfo({ schema: parsed(template.spki) });
  certificate.extensions = await extensionsOf(template, signer);
  await certificate.sign(signer.keys.privateKey, "SHA-256", engine);
  return readCertificate(new Uint8Array(certificate.toSchema(true).toBER()), "new certificate");
}

/** Makes and signs a PKCS#10 request without attributes. */
export async function mintRequest(subject: readonly NameAttribute[], keys: KeyPair): Promise<Bytes> {
  const request = new pkijs.CertificationRequest();
  request.version = 0;
  request.subject = nameOf(subject);
  request.subjectPublicKeyInfo = new pkijs.PublicKeyInfo({ schema: parsed(keys.spki) });
  request.attributes = [];
  await request.sign(keys.privateKey, "SHA-256", cryptoEngine());
  return new Uint8Array(request.toSchema(true).toBER());
}

function cryptoEngine(): pkijs.CryptoEngine {
  return new pkijs.CryptoEngine({ name: "webcrypto", crypto });
}

async function extensionsOf(template: CertificateTemplate, signer: Signer): Promise<pkijs.Extension[]> {
  const constraints = new pkijs.BasicConstraints(template.isCa ? { cA: true } : {});
  const authorityKey = new pkijs.AuthorityKeyIdentifier({
    keyIdentifier: new asn1js.OctetString({ valueHex: await keyIdentifier(signer.keys.spki) }),
  });
  const subjectKey = new asn1js.OctetString({ valueHex: await keyIdentifier(template.spki) });
  return [
    extension(EXTENSION.keyUsage, true, keyUsageBits(template.keyUsage)),
    ...(template.extKeyUsage.length === 0 ? [] : [
      extension(
        EXTENSION.extKeyUsage,
        false,
        new pkijs.ExtKeyUsage({ keyPurposes: [...template.extKeyUsage] }).toSchema(),
      ),
    ]),
    extension(EXTENSION.basicConstraints, true, constraints.toSchema()),
    extension(EXTENSION.subjectKeyIdentifier, false, subjectKey),
    ...(signer.certificate === undefined
      ? []
      : [extension(EXTENSION.authorityKeyIdentifier, false, authorityKey.toSchema())]),
    ...(template.dnsNames.length === 0 ? [] : [
      extension(
        EXTENSION.subjectAltName,
        false,
        new pkijs.GeneralNames({
          names: template.dnsNames.map((value) => new pkijs.GeneralName({ type: DNS_NAME, value })),
        }).toSchema(),
      ),
    ]),
  ];
}

function extension(extnID: string, critical: boolean, value: asn1js.BaseBlock): pkijs.Extension {
  return new pkijs.Extension({ extnID, critical, extnValue: value.toBER() });
}

/** Method 1 of RFC 7093, 2: the leftmost 160 bits of the SHA-256 of the key's bits. */
async function keyIdentifier(spki: Uint8Array): Promise<ArrayBuffer> {
  const reader = readDer(spki, "SPKI").inside();
  reader.element();
  return (await sha256(reader.octetBits())).slice(0, 20).buffer;
}

function keyUsageBits(usages: readonly KeyUsage[]): asn1js.BitString {
  const octet = usages.reduce((bits, usage) => bits | 0x80 >> KEY_USAGES.indexOf(usage), 0);
  return new asn1js.BitString({
    valueHex: Uint8Array.of(octet).buffer,
    // DER ends a string of named bits at the last bit that is set.
    unusedBits: 31 - Math.clz32(octet & -octet),
  });
}

/** One RDN per attribute. From a plain list, pkijs would make one RDN with all attributes, unsorted. */
function nameOf(attributes: readonly NameAttribute[]): pkijs.RelativeDistinguishedNames {
  const rdns = attributes.map(({ oid, value }) => {
    const type = new asn1js.ObjectIdentifier({ value: oid });
    const attribute = new asn1js.Sequence({ value: [type, new asn1js.Utf8String({ value })] });
    return new asn1js.Set({ value: [attribute] });
  });
  const name = new asn1js.Sequence({ value: rdns });
  return new pkijs.RelativeDistinguishedNames({ schema: parsed(new Uint8Array(name.toBER())) });
}

function timeOf(date: Date): pkijs.Time {
  const value = new Date(Math.floor(date.getTime() / 1000) * 1000);
  return new pkijs.Time({ type: value.getUTCFullYear() < FIRST_YEAR_OF_GENERALIZED_TIME ? 0 : 1, value });
}

/** A positive serial number of constant length: its first octet is 40 to 7F. */
function randomSerial(): Bytes {
  const serial = randomBytes(SERIAL_BYTES);
  serial[0] = (serial[0] ?? 0) & 0x3f | 0x40;
  return serial;
}

function parsed(der: Uint8Array): asn1js.AsnType {
  return asn1js.fromBER(copyOf(der)).result;
}
