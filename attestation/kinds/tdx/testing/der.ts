/**
 * Certificates and revocation lists in Intel's form, for tests.
 *
 * @module
 */
import { generateKeyPairSync, type KeyObject, sign } from "node:crypto";
import type { Bytes } from "../../../../platform/bytes.ts";
import { concat, copyOf, fromHex, utf8 } from "../../../../platform/bytes.ts";
import { filled } from "./tdx.ts";

/** One element of DER. */
export function element(tag: number, ...parts: readonly Uint8Array[]): Bytes {
  const content = concat(...parts);
  const { length } = content;
  if (length < 0x80) return concat(Uint8Array.of(tag, length), content);
  if (length < 0x100) return concat(Uint8Array.of(tag, 0x81, length), content);
  return concat(Uint8Array.of(tag, 0x82, length >> 8, length & 0xff), content);
}

/** An OBJECT IDENTIFIER. */
export function oid(dotted: string): Bytes {
  const [first = 0, second = 0, ...rest] = dotted.split(".").map(Number);
  const octets = [first * 40 + second, ...rest].flatMap((arc) => {
    const groups = [arc & 0x7f];
    for (let left = Math.floor(arc / 128); left > 0; left = Math.floor(left / 128)) groups.unshift(left & 0x7f | 0x80);
    return groups;
  });
  return element(0x06, Uint8Array.from(octets));
}

const SGX = "1.2.840.113741.1.13.1";

/** The properties of a software platform. */
export interface SoftwarePlatform {
  readonly fmspc: string;
  /** The SVNs of the 16 components. */
  readonly components: readonly number[];
  /** The PCE's ISVSVN. */
  readonly pceSvn: number;
}

/** A part of Intel's extension. */
export function sgxPart(arcs: string, value: Uint8Array): Bytes {
  return element(0x30, oid(`${SGX}.${arcs}`), value);
}

/** An INTEGER from 0 to 65,535. */
export function integer(value: number): Bytes {
  const octets = value > 0xff ? [value >> 8, value & 0xff] : [value];
  return element(0x02, Uint8Array.from((octets[0] ?? 0) >= 0x80 ? [0, ...octets] : octets));
}

/** Intel's extension as the Platform CA writes it, part by part. */
export function sgxParts({ fmspc, components, pceSvn }: SoftwarePlatform): Bytes[] {
  const tcb = [
    ...components.map((svn, i) => sgxPart(`2.${i + 1}`, integer(svn))),
    sgxPart("2.17", integer(pceSvn)),
    sgxPart("2.18", element(0x04, Uint8Array.from(components))),
  ];
  const flags = [1, 2, 3].map((flag) => sgxPart(`7.${flag}`, element(0x01, Uint8Array.of(0xff))));
  return [
    sgxPart("1", element(0x04, filled(16, 0x11))),
    sgxPart("2", element(0x30, ...tcb)),
    sgxPart("3", element(0x04, filled(2, 0))),
    sgxPart("4", element(0x04, fromHex(fmspc, "FMSPC"))),
    sgxPart("5", element(0x0a, Uint8Array.of(1))),
    sgxPart("6", element(0x04, filled(16, 0x22))),
    sgxPart("7", element(0x30, ...flags)),
  ];
}

/** A P-256 key. */
export interface SoftwareKey {
  readonly secret: KeyObject;
  /** SPKI, DER. */
  readonly spki: Bytes;
  /** x ‖ y. */
  readonly point: Bytes;
}

/** Creates a key. */
export function createKey(): SoftwareKey {
  const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const spki = copyOf(publicKey.export({ type: "spki", format: "der" }));
  return { secret: privateKey, spki, point: spki.slice(-64) };
}

/** Signs a message. Returns r ‖ s. */
export function rawSignature(key: SoftwareKey, message: Uint8Array): Bytes {
  return copyOf(sign("sha256", message, { key: key.secret, dsaEncoding: "ieee-p1363" }));
}

const ECDSA_SHA256 = fromHex("300a06082a8648ce3d040302", "algorithm");

function signedDer(key: SoftwareKey, ...fields: readonly Uint8Array[]): Bytes {
  const tbs = element(0x30, ...fields);
  const signature = copyOf(sign("sha256", tbs, key.secret));
  return element(0x30, tbs, ECDSA_SHA256, element(0x03, new Uint8Array(1), signature));
}

function nameDer(commonName: string): Bytes {
  const attributes = [
    ["2.5.4.3", commonName],
    ["2.5.4.10", "Intel Corporation"],
    ["2.5.4.7", "Santa Clara"],
    ["2.5.4.8", "CA"],
    ["2.5.4.6", "US"],
  ] as const;
  const rdns = attributes.map(([type, value]) =>
    element(0x31, element(0x30, oid(type), element(type === "2.5.4.6" ? 0x13 : 0x0c, utf8(value))))
  );
  return element(0x30, ...rdns);
}

function timeDer(date: Date): Bytes {
  return element(0x17, utf8(date.toISOString().slice(2, 19).replaceAll(/[-T:]/g, "") + "Z"));
}

/** The contents of a software certificate. */
export interface SoftwareCertificate {
  /** The common name. */
  readonly name: string;
  /** The issuer's common name. */
  readonly issuer: string;
  /** The certified key. */
  readonly key: SoftwareKey;
  /** The key that signs the certificate. */
  readonly signer: SoftwareKey;
  /** 1 to 127. */
  readonly serial: number;
  readonly isCa: boolean;
  /** The last second of the validity. */
  readonly notAfter?: Date;
  /** Additional extensions. */
  readonly extensions?: readonly Uint8Array[];
}

/** The time at which everything here is valid. */
export const NOW: Date = new Date("2026-05-01T00:00:00Z");
const START = new Date("2026-04-15T00:00:00Z");
const END = new Date("2026-05-15T00:00:00Z");

/** Makes a certificate, DER. */
export function mint(template: SoftwareCertificate): Bytes {
  const { name, issuer, key, signer, serial, isCa, notAfter = END, extensions = [] } = template;
  const critical = element(0x01, Uint8Array.of(0xff));
  const usage = isCa ? fromHex("03020106", "usage") : fromHex("030206c0", "usage");
  const constraints = element(0x30, ...(isCa ? [critical] : []));
  return signedDer(
    signer,
    element(0xa0, integer(2)),
    integer(serial),
    ECDSA_SHA256,
    nameDer(issuer),
    element(0x30, timeDer(START), timeDer(notAfter)),
    nameDer(name),
    key.spki,
    element(
      0xa3,
      element(
        0x30,
        element(0x30, oid("2.5.29.15"), critical, element(0x04, usage)),
        element(0x30, oid("2.5.29.19"), critical, element(0x04, constraints)),
        ...extensions,
      ),
    ),
  );
}

/** Makes a revocation list, DER. */
export function mintCrl(
  issuer: string,
  signer: SoftwareKey,
  revoked: readonly number[],
  end: Date = END,
  start: Date = START,
): Bytes {
  const entries = revoked.map((serial) => element(0x30, integer(serial), timeDer(START)));
  const list = entries.length === 0 ? [] : [element(0x30, ...entries)];
  return signedDer(signer, integer(1), ECDSA_SHA256, nameDer(issuer), timeDer(start), timeDer(end), ...list);
}
