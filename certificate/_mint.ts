/**
 * Makes certificates and requests with pkijs. The project's own strict reader reads every result back.
 *
 * @module
 */
import * as asn1js from "asn1js";
import * as pkijs from "pkijs";
import type { Bytes } from "../platform/bytes.ts";
import { concat, copyOf, hex, randomBytes, sha256, u32be } from "../platform/bytes.ts";
import { readDer } from "./der.ts";
import { EXTENSION, KEY_USAGES, type KeyUsage } from "./extensions.ts";
import { type KeyPair, SIGN_ALGORITHMS } from "./keys.ts";
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

/** The signer of a certificate: a P-256 key pair, and its certificate unless the new certificate is self-signed. */
export interface Signer {
  readonly keys: KeyPair;
  /** The signer's certificate. If absent, the new certificate is self-signed. */
  readonly certificate?: Certificate;
}

const VERSION_3 = 2;
/** The tag of a SEQUENCE, and from which length DER writes the number of the length's octets first (X.690, 8.1.3). */
const SEQUENCE = 0x30;
const LONG_FORM = 0x80;
const SERIAL_BYTES = 16;
const DNS_NAME = 2;
const IP_ADDRESS = 7;
/** ecdsa-with-SHA256 (RFC 5758, 3.2). */
const ECDSA_SHA_256 = "1.2.840.10045.4.3.2";
const FIRST_YEAR_OF_GENERALIZED_TIME = 2050;

/** Makes and signs a certificate with a random serial number of 16 octets. */
export async function mintCertificate(template: CertificateTemplate, signer: Signer): Promise<Certificate> {
  return await (await prepareCertificate(template, signer)).sign();
}

/** Makes a certificate with a random serial number of 16 octets, which is not signed yet. */
export async function prepareCertificate(template: CertificateTemplate, signer: Signer): Promise<UnsignedCertificate> {
  const serialNumber = randomSerial();
  const certificate = new pkijs.Certificate();
  certificate.version = VERSION_3;
  certificate.serialNumber = new asn1js.Integer({ valueHex: serialNumber.buffer });
  certificate.signature = new pkijs.AlgorithmIdentifier({ algorithmId: ECDSA_SHA_256 });
  certificate.subject = nameOf(template.subject);
  certificate.issuer = signer.certificate === undefined
    ? nameOf(template.subject)
    : new pkijs.RelativeDistinguishedNames({ valueBeforeDecode: copyOf(signer.certificate.subject.der).buffer });
  certificate.notBefore = timeOf(template.notBefore);
  certificate.notAfter = timeOf(template.notAfter);
  certificate.subjectPublicKeyInfo = new pkijs.PublicKeyInfo({ schema: parsed(template.spki) });
  certificate.extensions = await extensionsOf(template, signer);
  const tbs = new Uint8Array(certificate.encodeTBS().toBER());
  return {
    tbs,
    serialNumber,
    notAfter: certificate.notAfter.value,
    sign: async () => readCertificate(await signedDer(tbs, signer.keys), "new certificate"),
  };
}

/** `SEQUENCE { tbs, ecdsa-with-SHA256, signature }` (RFC 5280, 4.1). */
async function signedDer(tbs: Bytes, { privateKey }: KeyPair): Promise<Bytes> {
  const raw = new Uint8Array(await crypto.subtle.sign(SIGN_ALGORITHMS["p-256"], privateKey, tbs));
  const scalars = [raw.subarray(0, raw.length / 2), raw.subarray(raw.length / 2)].map((scalar) =>
    asn1js.Integer.fromBigInt(BigInt(`0x${hex(scalar)}`))
  );
  const signature = new asn1js.Sequence({ value: scalars }).toBER();
  const algorithm = new pkijs.AlgorithmIdentifier({ algorithmId: ECDSA_SHA_256 });
  return sequence(tbs, algorithm.toSchema().toBER(), new asn1js.BitString({ valueHex: signature }).toBER());
}

/**
 * A DER SEQUENCE of elements that are encoded already. asn1js would parse them to write them again.
 *
 * @throws RangeError for 64 KiB and more, which no certificate has.
 */
function sequence(...elements: readonly (Bytes | ArrayBuffer)[]): Bytes {
  const content = concat(...elements.map((element) => new Uint8Array(element)));
  if (content.length > 0xffff) throw new RangeError("Cannot write a sequence of more than 65,535 octets");
  const length = content.length < LONG_FORM ? [] : [...u32be(content.length)].slice(content.length < 256 ? 3 : 2);
  const first = length.length === 0 ? content.length : LONG_FORM | length.length;
  return concat(Uint8Array.of(SEQUENCE, first, ...length), content);
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
  const names = alternativeNames(template);
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
    ...(names.length === 0
      ? []
      : [extension(EXTENSION.subjectAltName, false, new pkijs.GeneralNames({ names }).toSchema())]),
  ];
}

function alternativeNames({ dnsNames, addresses = [] }: CertificateTemplate): pkijs.GeneralName[] {
  return [
    ...dnsNames.map((value) => new pkijs.GeneralName({ type: DNS_NAME, value })),
    ...addresses.map((address) =>
      new pkijs.GeneralName({ type: IP_ADDRESS, value: new asn1js.OctetString({ valueHex: copyOf(address).buffer }) })
    ),
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
  return new pkijs.RelativeDistinguishedNames({ valueBeforeDecode: new asn1js.Sequence({ value: rdns }).toBER() });
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
