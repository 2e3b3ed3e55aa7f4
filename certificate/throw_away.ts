/**
 * The TLS certificate of an attested channel. It is made for one listener and proves nothing.
 *
 * @module
 */
import { mintCertificate } from "./_mint.ts";
import { EXT_KEY_USAGE } from "./extensions.ts";
import { generateKeyPair, privateKeyPem } from "./keys.ts";
import { ATTRIBUTE } from "./name.ts";
import { writePem } from "./pem.ts";

/** A certificate that no peer checks, and its key. */
export interface ThrowAwayCertificate {
  readonly certificatePem: string;
  /** PKCS#8 PEM. */
  readonly keyPem: string;
}

const DAY_MS = 24 * 3600 * 1000;

/** Makes a fresh P-256 key and a self-signed certificate valid for a day. Peers rely on the channel binding instead. */
export async function createThrowAwayCertificate(): Promise<ThrowAwayCertificate> {
  const keys = await generateKeyPair("p-256");
  const certificate = await mintCertificate({
    subject: [{ oid: ATTRIBUTE.commonName, value: "bootstrapper" }],
    spki: keys.spki,
    notBefore: new Date(Date.now() - DAY_MS),
    notAfter: new Date(Date.now() + DAY_MS),
    isCa: false,
    keyUsage: ["digitalSignature"],
    extKeyUsage: [EXT_KEY_USAGE.serverAuth],
    dnsNames: ["bootstrapper"],
  }, { keys });
  return { certificatePem: writePem("CERTIFICATE", certificate.der), keyPem: await privateKeyPem(keys) };
}
