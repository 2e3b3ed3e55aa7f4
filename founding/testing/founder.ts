/**
 * Founders for tests: keys, certificates and entries.
 *
 * @module
 */
import { mintCertificate } from "../../certificate/_mint.ts";
import { EXT_KEY_USAGE } from "../../certificate/extensions.ts";
import { generateKeyPair, type KeyPair, privateKeyPem } from "../../certificate/keys.ts";
import { ATTRIBUTE } from "../../certificate/name.ts";
import { writePem } from "../../certificate/pem.ts";
import { hex, sha256, utf8 } from "../../platform/bytes.ts";
import { addressBytes } from "../../platform/ip_address.ts";
import type { RosterEntry } from "../../protocol/transcript.ts";

/** A founder with its key. */
export interface TestFounder {
  readonly keys: KeyPair;
  readonly keyPem: string;
  readonly certificatePem: string;
  readonly entry: RosterEntry;
}

/** Makes a founder's key, its certificate as `founding.md` says, and its entry. */
export async function makeFounder(name: string, address: string): Promise<TestFounder> {
  const keys = await generateKeyPair("p-256");
  const host = address.slice(0, address.lastIndexOf(":"));
  const certificate = await mintCertificate({
    subject: [{ oid: ATTRIBUTE.commonName, value: name }],
    spki: keys.spki,
    notBefore: new Date(0),
    notAfter: new Date("9999-12-31T23:59:59Z"),
    isCa: false,
    keyUsage: ["digitalSignature"],
    extKeyUsage: [EXT_KEY_USAGE.serverAuth, EXT_KEY_USAGE.clientAuth],
    dnsNames: [],
    addresses: [host, "127.0.0.1"].map((text) => addressBytes(text) ?? new Uint8Array(4)),
  }, { keys });
  return {
    keys,
    keyPem: await privateKeyPem(keys),
    certificatePem: writePem("CERTIFICATE", certificate.der),
    entry: { identity: hex(await sha256(utf8(`machine of ${name}`))), name, address, certificate: certificate.der },
  };
}
