/**
 * Authorities of tests that certify endorsement keys and each other, in any form that a manufacturer might choose.
 *
 * @module
 */
import { createPrivateKey, generateKeyPairSync, type KeyObject, sign } from "node:crypto";
import type { Bytes } from "../../../../platform/bytes.ts";
import { concat, copyOf, fromHex, utf8 } from "../../../../platform/bytes.ts";

/** The curves of authorities, or RSA. */
export type AuthorityKey = "P-256" | "P-384" | "P-521" | "brainpoolP256r1" | "rsa";
/** The hashes of their signatures. */
export type AuthorityHash = "sha256" | "sha384" | "sha512";

/** How a certificate differs from an ordinary one. */
export interface CertificateForm {
  /** The CN of the subject; none if empty. */
  readonly name?: string;
  /** The tag of the CN: UTF8String unless given. */
  readonly nameTag?: number;
  readonly spki?: Uint8Array;
  /** The extensions, DER. */
  readonly extensions?: readonly Uint8Array[];
  readonly notBefore?: Date;
  readonly notAfter?: Date;
  /** The DER between the outer SEQUENCE and the serial number. Default: version 3. */
  readonly version?: Uint8Array;
  /** The content of the serial number. */
  readonly serial?: Uint8Array;
}

/** An authority. */
export interface EkAuthority {
  readonly name: string;
  /** Its certificate, DER. */
  readonly certificate: Bytes;
  /** Makes a certificate for a key. */
  issue(form: CertificateForm): Bytes;
  /** Makes an authority below. */
  below(name: string, form?: CertificateForm): EkAuthority;
}

const SIGNATURE_ALGORITHMS = {
  ec: { sha256: "300a06082a8648ce3d040302", sha384: "300a06082a8648ce3d040303", sha512: "300a06082a8648ce3d040304" },
  rsa: {
    sha256: "300d06092a864886f70d01010b0500",
    sha384: "300d06092a864886f70d01010c0500",
    sha512: "300d06092a864886f70d01010d0500",
  },
} as const;

/** The extended key usage of endorsement keys. */
export const EK_USAGE: Bytes = extensionOf("551d25", fromHex("3007060567810508" + "01", ""));
/** Key encipherment, as of an RSA endorsement key. */
export const KEY_ENCIPHERMENT: Bytes = keyUsageOf("03020520");
/** Attributes in the alternative name, where the TCG's profile puts them. */
export const TPM_NAMES: Bytes = extensionOf(
  "551d11",
  element(0x30, element(0xa4, nameOf([["6781050201", "id:45584100"]]))),
  true,
);
/** The attributes of {@linkcode TPM_NAMES}. */
export const TPM_ATTRIBUTES = [{ oid: "2.23.133.2.1", value: "id:45584100" }] as const;

/** A critical key usage of a BIT STRING in hexadecimal. */
export function keyUsageOf(bits: string): Bytes {
  return extensionOf("551d0f", fromHex(bits, "bits"), true);
}

/** Basic constraints of a CA, with a path length if one is given. */
export function caOf(pathLength?: number): Bytes {
  const length = pathLength === undefined ? [] : [element(0x02, Uint8Array.of(pathLength))];
  return extensionOf("551d13", element(0x30, fromHex("0101ff", "true"), ...length), true);
}

/** Makes an authority that signs itself. */
export function createEkAuthority(
  name: string,
  key: AuthorityKey = "P-256",
  hash: AuthorityHash = "sha256",
  form: CertificateForm = {},
): EkAuthority {
  const keys = keysOf(key);
  const spki = copyOf(keys.publicKey.export({ format: "der", type: "spki" }));
  const self = { name, nameTag: form.nameTag ?? 0x0c, key: keys.privateKey, hash };
  return authority(self, mint(self, { name, spki, ...authorityForm(form) }));
}

/** Wraps content as DER. */
export function element(tag: number, ...parts: readonly Uint8Array[]): Bytes {
  const content = concat(...parts);
  const { length } = content;
  if (length < 0x80) return concat(Uint8Array.of(tag, length), content);
  if (length < 0x100) return concat(Uint8Array.of(tag, 0x81, length), content);
  return concat(Uint8Array.of(tag, 0x82, length >> 8, length & 0xff), content);
}

/** An extension. `oid` is in content octets, hexadecimal. `mark` is left out, TRUE, or a FALSE that DER omits. */
export function extensionOf(oid: string, value: Uint8Array, mark: boolean | "false" = false): Bytes {
  const critical = mark === false ? [] : [Uint8Array.of(1, 1, mark === true ? 0xff : 0)];
  return element(0x30, element(0x06, fromHex(oid, "oid")), ...critical, element(0x04, value));
}

interface Signer {
  readonly name: string;
  readonly nameTag: number;
  readonly key: KeyObject;
  readonly hash: AuthorityHash;
}

function authority(signer: Signer, certificate: Bytes): EkAuthority {
  return {
    name: signer.name,
    certificate,
    issue: (form) => mint(signer, form),
    below(name, form = {}) {
      const keys = keysOf("P-384");
      const spki = copyOf(keys.publicKey.export({ format: "der", type: "spki" }));
      const below = { name, nameTag: form.nameTag ?? 0x0c, key: keys.privateKey, hash: "sha384" as const };
      return authority(below, mint(signer, { name, spki, ...authorityForm(form) }));
    },
  };
}

function authorityForm(form: CertificateForm): CertificateForm {
  return { extensions: [caOf(), keyUsageOf("03020106")], ...form };
}

function mint(signer: Signer, form: CertificateForm): Bytes {
  const { name = "", nameTag = 0x0c, spki = new Uint8Array(), extensions = [], version, serial } = form;
  const { notBefore = new Date("2024-01-01"), notAfter = new Date("2044-01-01") } = form;
  const family = signer.key.asymmetricKeyType === "rsa" ? "rsa" : "ec";
  const algorithm = fromHex(SIGNATURE_ALGORITHMS[family][signer.hash], "algorithm");
  const tbs = element(
    0x30,
    version ?? fromHex("a003020102", "version"),
    element(0x02, serial ?? Uint8Array.of(17)),
    algorithm,
    nameOf([["550403", signer.name]], signer.nameTag),
    element(0x30, time(notBefore), time(notAfter)),
    name === "" ? element(0x30) : nameOf([["550403", name]], nameTag),
    spki,
    ...(extensions.length === 0 ? [] : [element(0xa3, element(0x30, ...extensions))]),
  );
  const signature = sign(signer.hash, tbs, signer.key);
  return element(0x30, tbs, algorithm, element(0x03, new Uint8Array(1), signature));
}

function keysOf(key: AuthorityKey) {
  if (key === "rsa") return generateKeyPairSync("rsa", { modulusLength: 2048 });
  if (key !== "brainpoolP256r1") return generateKeyPairSync("ec", { namedCurve: key });
  // The runtime makes no such keys. The curve's name is enough for a certificate that is refused before it is used.
  const keys = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const spki = copyOf(keys.publicKey.export({ format: "der", type: "spki" }));
  const brainpool = element(
    0x30,
    fromHex("301406072a8648ce3d020106092b2403030208010107", "algorithm"),
    spki.subarray(-68),
  );
  const privateKey = createPrivateKey(keys.privateKey.export({ format: "pem", type: "pkcs8" }));
  return { privateKey, publicKey: { export: () => brainpool } };
}

function nameOf(attributes: readonly (readonly [oid: string, value: string])[], tag = 0x0c): Bytes {
  return element(
    0x30,
    ...attributes.map(([oid, value]) =>
      element(0x31, element(0x30, element(0x06, fromHex(oid, "oid")), element(tag, utf8(value))))
    ),
  );
}

function time(date: Date): Bytes {
  const digits = date.toISOString().slice(0, 19).replaceAll(/[-T:]/g, "");
  return date.getUTCFullYear() < 2050 ? element(0x17, utf8(`${digits.slice(2)}Z`)) : element(0x18, utf8(`${digits}Z`));
}
