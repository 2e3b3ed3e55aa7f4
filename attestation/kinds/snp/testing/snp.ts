/**
 * Shared by tests: oracles, and a software "AMD" with machines that can lie.
 *
 * @module
 */
import type { Bytes } from "../../../../platform/bytes.ts";
import { concat, copyOf, fromHex, utf8 } from "../../../../platform/bytes.ts";
import { type Certificate, readCertificate } from "../../../../certificate/x509.ts";
import type { Collateral } from "../../../collateral.ts";
import type { Evidence } from "../../../evidence.ts";
import { oraclesIn, type OracleTest } from "../../../testing/evidence.ts";
import { type AmdAnchor, amdAnchors, type Product } from "../amd_roots.ts";
import { guidBytes } from "../certificate_table.ts";
import { crlName, type VekKind } from "../chain.ts";
import { encodePayload } from "../payload.ts";
import type { SnpPolicy } from "../policy.ts";
import { REPORT_BYTES, SIGNATURE_OFFSET } from "../report.ts";

/** Registers a test that uses recorded SEV-SNP evidence. */
export const oracleTest: OracleTest = oraclesIn("snp");

/** The DER of the certificates in a PEM file. */
export function certificatesIn(pem: Uint8Array): Bytes[] {
  return [...new TextDecoder().decode(pem).matchAll(/-----BEGIN CERTIFICATE-----([^-]*)-----END CERTIFICATE-----/g)]
    .map(([, body = ""]) => Uint8Array.fromBase64(body.replaceAll(/\s/g, "")));
}

/** The time at which everything here is valid. */
export const NOW: Date = new Date("2026-03-04T05:06:07Z");
/** A TCB_VERSION of Milan. */
export const MILAN_TCB: Bytes = Uint8Array.of(3, 0, 0, 0, 0, 0, 8, 115);
/** A TCB_VERSION of Turin. */
export const TURIN_TCB: Bytes = Uint8Array.of(1, 3, 2, 8, 0, 0, 0, 115);

const HOUR_MS = 3600 * 1000;
const PSS = { name: "RSA-PSS", hash: "SHA-384", modulusLength: 2048, publicExponent: Uint8Array.of(1, 0, 1) } as const;
const PSS_SIGN = { name: "RSA-PSS", saltLength: 48 } as const;
const ECDSA = { name: "ECDSA", namedCurve: "P-384", hash: "SHA-384" } as const;

/** The parts of a signing key's certificate that may be wrong. */
export interface VekLies {
  /** AMD's extensions as DER values, by the last arcs of the OID. `undefined` leaves one out. */
  readonly extensions?: Readonly<Record<string, Uint8Array | undefined>>;
  /** Additional extensions, DER. */
  readonly more?: readonly Uint8Array[];
  readonly commonName?: string;
  /** The first second of the validity. */
  readonly notBefore?: Date;
  readonly spki?: Uint8Array;
  /** The key that signs the certificate. */
  readonly signer?: "ask" | "asvk" | "ark" | "self";
}

/** The parts of a revocation list that may be wrong. */
export interface CrlLies {
  /** Serial numbers of the revoked certificates. */
  readonly revoked?: readonly Uint8Array[];
  /** The time of the next list. */
  readonly nextUpdate?: Date;
  /** The time at which the list was made. */
  readonly thisUpdate?: Date;
  readonly signer?: "ask" | "ark";
  /** The issuer that the list names, DER. */
  readonly issuer?: Uint8Array;
}

/** The parts of a machine's evidence that may be wrong. */
export interface Lies {
  /** Bytes of the report by offset, written before it is signed. */
  readonly report?: Readonly<Record<number, Uint8Array>>;
  /** Lies in the signing key's certificate. */
  readonly vek?: VekLies;
  /** A certificate to use instead of the signing key's. */
  readonly vekDer?: Uint8Array;
  /** The authority that comes with the evidence. */
  readonly authority?: Uint8Array;
  /** The revocation list that comes with the evidence. */
  readonly crl?: Uint8Array;
}

/** A line of processors with software roots. */
export interface SoftwareAmd {
  /** The roots that a verifier trusts. */
  readonly anchors: readonly AmdAnchor[];
  /** Makes a revocation list. */
  crl(lies?: CrlLies): Promise<Bytes>;
  /** A folder with a good revocation list. */
  collateral(): Promise<Collateral>;
  /** Makes a signing key's certificate. */
  vek(lies?: VekLies): Promise<Bytes>;
  /** Makes a signed report. */
  report(fields?: Readonly<Record<number, Uint8Array>>): Promise<Bytes>;
  evidence(lies?: Lies): Promise<Evidence>;
}

/** Makes roots, authorities and a signing key. */
export async function createSoftwareAmd(product: Product = "milan", kind: VekKind = "vcek"): Promise<SoftwareAmd> {
  const real = amdAnchors().find((anchor) => anchor.product === product);
  if (real === undefined) throw new Error(product);
  const [ark, ask, asvk] = await Promise.all([rsaKeys(), rsaKeys(), rsaKeys()]);
  const vek = await crypto.subtle.generateKey(ECDSA, true, ["sign", "verify"]) as CryptoKeyPair;
  const vekSpki = new Uint8Array(await crypto.subtle.exportKey("spki", vek.publicKey));
  const self = { ...ark, subject: real.ark.subject.der };
  const signers = {
    ark: self,
    ask: { ...ask, subject: real.authorities.vcek.subject.der },
    asvk: { ...asvk, subject: real.authorities.vlek.subject.der },
    self: { keys: vek, spki: vekSpki, subject: real.authorities[kind].subject.der },
  };
  const authority = async (name: "ark" | "ask" | "asvk", serial: number): Promise<Certificate> => {
    const { subject, spki } = signers[name];
    const usage = name === "ark" ? "03020106" : "03020204";
    const der = await mint(signers.ark, {
      ...{ subject, spki, serial: Uint8Array.of(serial) },
      extensions: [
        extension("551d0f", fromHex(usage, "usage"), true),
        extension("551d13", fromHex("30030101ff", "constraints"), true),
      ],
    });
    return readCertificate(der, name, "vendor");
  };
  const anchor: AmdAnchor = {
    product,
    ark: await authority("ark", 1),
    authorities: { vcek: await authority("ask", 2), vlek: await authority("asvk", 3) },
  };
  const amd: SoftwareAmd = {
    anchors: [anchor],
    async crl({ revoked = [], thisUpdate, nextUpdate, signer = "ark", issuer } = {}) {
      const entries = revoked.map((serial) => der(0x30, der(0x02, serial), time(NOW)));
      const tbs = der(
        0x30,
        ...[fromHex("020101", "version"), real.ark.signatureAlgorithm.der, issuer ?? real.ark.subject.der],
        ...[time(thisUpdate ?? hours(-1)), time(nextUpdate ?? hours(1))],
        ...(entries.length === 0 ? [] : [der(0x30, ...entries)]),
      );
      return await signed(tbs, signers[signer].keys);
    },
    async collateral() {
      return collateralOf({ [crlName(product, kind)]: await amd.crl() });
    },
    vek({ extensions = {}, more = [], commonName, notBefore, spki, signer } = {}) {
      const values = { ...vekExtensions(product, kind), ...extensions };
      const list = Object.entries(values).flatMap(([arcs, value]) =>
        value === undefined ? [] : [extension(`2b060104019c7801${arcs}`, value)]
      );
      return mint(signers[signer ?? (kind === "vcek" ? "ask" : "asvk")], {
        subject: nameOf(commonName ?? `SEV-${kind.toUpperCase()}`),
        spki: spki ?? vekSpki,
        serial: Uint8Array.of(0),
        extensions: [...list, ...more],
        ...(notBefore === undefined ? {} : { notBefore }),
      });
    },
    report: (fields = {}) => signedReport(product, kind, vek.privateKey, fields),
    async evidence({ report, vek: vekLies, vekDer, authority, crl } = {}) {
      const payload = encodePayload({
        report: await amd.report(report),
        vek: vekDer ?? await amd.vek(vekLies),
        authority: authority ?? new Uint8Array(),
        crl: crl ?? new Uint8Array(),
      });
      return { variant: "snp", payload };
    },
  };
  return amd;
}

/** The chip ID of the software machine, as in its report. */
export function chipIdOf(product: Product): Bytes {
  return new Uint8Array(64).fill(0xc1, 0, product === "turin" ? 8 : 64);
}

/** AMD's extensions of a good certificate: the values by the OID arcs below AMD's. */
function vekExtensions(product: Product, kind: VekKind): Record<string, Uint8Array | undefined> {
  const hardwareId = chipIdOf(product).slice(0, product === "turin" ? 8 : 64);
  const parts = product === "turin"
    ? { "0309": 1, "0301": 3, "0302": 2, "0303": 8, "0308": 115 }
    : { "0301": 3, "0302": 0, "0304": 0, "0305": 0, "0306": 0, "0307": 0, "0303": 8, "0308": 115 };
  const text = (value: string) => der(0x16, utf8(value));
  return {
    "01": der(0x02, Uint8Array.of(0)),
    "02": text(`${product.slice(0, 1).toUpperCase()}${product.slice(1)}-B0`),
    ...Object.fromEntries(Object.entries(parts).map(([arcs, value]) => [arcs, der(0x02, Uint8Array.of(value))])),
    "04": kind === "vcek" ? hardwareId : undefined,
    "05": kind === "vlek" ? text("a-cloud") : undefined,
  };
}

async function signedReport(
  product: Product,
  kind: VekKind,
  key: CryptoKey,
  fields: Readonly<Record<number, Uint8Array>>,
): Promise<Bytes> {
  const bytes = new Uint8Array(REPORT_BYTES);
  const tcb = product === "turin" ? TURIN_TCB : MILAN_TCB;
  const all: Record<number, Uint8Array> = {
    0x00: Uint8Array.of(2),
    0x08: Uint8Array.of(0, 0, 3),
    0x34: Uint8Array.of(1),
    0x38: tcb,
    0x40: Uint8Array.of(0x21),
    0x48: Uint8Array.of(kind === "vlek" ? 4 : 0),
    0x50: STATEMENT,
    0x90: new Uint8Array(48).fill(0x3e),
    0xc0: HOST_DATA,
    0x140: new Uint8Array(32).fill(0x1d),
    0x160: new Uint8Array(32).fill(0xff),
    0x180: tcb,
    0x1a0: chipIdOf(product),
    0x1e0: tcb,
    0x1f0: tcb,
    ...fields,
  };
  for (const [offset, value] of Object.entries(all)) bytes.set(value, Number(offset));
  const raw = new Uint8Array(await crypto.subtle.sign(ECDSA, key, bytes.slice(0, SIGNATURE_OFFSET)));
  bytes.set(raw.slice(0, 48).reverse(), SIGNATURE_OFFSET);
  bytes.set(raw.slice(48).reverse(), SIGNATURE_OFFSET + 72);
  return bytes;
}

/** A1 or A2 of the software machine's connection. */
export const STATEMENT: Bytes = new Uint8Array(32).fill(0xa1);
/** D12 of the software machine's configuration. */
export const HOST_DATA: Bytes = new Uint8Array(32).fill(0xd1);

/** A policy that the software machine satisfies. */
export function policyFor(product: Product = "milan", kind: VekKind = "vcek"): SnpPolicy {
  const minimum = { bootloader: 3, tee: 0, snp: 8, microcode: 115 };
  return {
    products: new Map([[product, { minimumTcb: minimum, minimumLaunchTcb: minimum }]]),
    signingKeys: [kind],
    providers: ["a-cloud"],
    allowsLaggingTcb: false,
    measurements: [new Uint8Array(48).fill(0x3e)],
    guestPolicy: { required: [], forbidden: ["cxl"] },
    platformInfo: { required: ["aliasCheckComplete"], forbidden: ["tio"] },
    bannedChipIds: new Set(),
  };
}

/** Collateral that is held in memory. */
export function collateralOf(files: Readonly<Record<string, Uint8Array>>): Collateral {
  return {
    place: "memory",
    find(name) {
      const bytes = files[name];
      return Promise.resolve(bytes === undefined ? undefined : { bytes: copyOf(bytes), source: name });
    },
  };
}

/** The table that a host gives with a report. Unused bytes follow it. */
export function certificateTableOf(entries: Readonly<Record<string, Uint8Array>>): Bytes {
  const list = Object.entries(entries);
  let offset = (list.length + 1) * 24;
  const head = list.map(([guid, content]) => {
    const entry = concat(guidBytes(guid), new Uint8Array(8));
    new DataView(entry.buffer).setUint32(16, offset, true);
    new DataView(entry.buffer).setUint32(20, content.length, true);
    offset += content.length;
    return entry;
  });
  return concat(...head, new Uint8Array(24), ...list.map(([, content]) => content), new Uint8Array(100));
}

/** One element of DER. */
export function der(tag: number, ...parts: readonly Uint8Array[]): Bytes {
  const content = concat(...parts);
  const { length } = content;
  if (length < 0x80) return concat(Uint8Array.of(tag, length), content);
  if (length < 0x100) return concat(Uint8Array.of(tag, 0x81, length), content);
  return concat(Uint8Array.of(tag, 0x82, length >> 8, length & 0xff), content);
}

/** An X.509 extension. `oid` is in content octets, hexadecimal. */
export function extension(oid: string, value: Uint8Array, critical = false): Bytes {
  const mark = critical ? [Uint8Array.of(1, 1, 0xff)] : [];
  return der(0x30, der(0x06, fromHex(oid, "oid")), ...mark, der(0x04, value));
}

/** A time some hours from {@linkcode NOW}. */
export function hours(count: number): Date {
  return new Date(NOW.getTime() + count * HOUR_MS);
}

interface Signer {
  readonly keys: CryptoKeyPair;
  readonly spki: Uint8Array;
  readonly subject: Uint8Array;
}

async function rsaKeys(): Promise<{ keys: CryptoKeyPair; spki: Bytes }> {
  const keys = await crypto.subtle.generateKey(PSS, true, ["sign", "verify"]);
  return { keys, spki: new Uint8Array(await crypto.subtle.exportKey("spki", keys.publicKey)) };
}

async function mint(signer: Signer, template: {
  readonly subject: Uint8Array;
  readonly spki: Uint8Array;
  readonly serial: Uint8Array;
  readonly notBefore?: Date;
  readonly extensions: readonly Uint8Array[];
}): Promise<Bytes> {
  const { subject, spki, serial, notBefore = hours(-24), extensions } = template;
  const tbs = der(
    0x30,
    ...[fromHex("a003020102", "version"), der(0x02, serial), pssAlgorithm(), signer.subject],
    ...[der(0x30, time(notBefore), time(hours(24))), subject, spki],
    der(0xa3, der(0x30, ...extensions)),
  );
  return await signed(tbs, signer.keys);
}

async function signed(tbs: Bytes, { privateKey }: CryptoKeyPair): Promise<Bytes> {
  const algorithm = privateKey.algorithm.name === "RSA-PSS" ? PSS_SIGN : ECDSA;
  const signature = new Uint8Array(await crypto.subtle.sign(algorithm, privateKey, tbs));
  return der(0x30, tbs, pssAlgorithm(), der(0x03, new Uint8Array(1), signature));
}

/** The RSA-PSS AlgorithmIdentifier, as AMD writes it. */
function pssAlgorithm(): Bytes {
  const [anchor] = amdAnchors();
  if (anchor === undefined) throw new Error("no anchor");
  return anchor.ark.signatureAlgorithm.der;
}

function nameOf(commonName: string): Bytes {
  return der(0x30, der(0x31, der(0x30, fromHex("0603550403", "oid"), der(0x0c, utf8(commonName)))));
}

function time(date: Date): Bytes {
  return der(0x17, utf8(date.toISOString().slice(2, 19).replaceAll(/[-T:]/g, "") + "Z"));
}
