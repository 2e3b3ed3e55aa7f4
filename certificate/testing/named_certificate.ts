/**
 * Certificates of other programs' servers.
 *
 * @module
 */
import { mintCertificate } from "../_mint.ts";
import { EXT_KEY_USAGE } from "../extensions.ts";
import { generateKeyPair, privateKeyPem } from "../keys.ts";
import { ATTRIBUTE } from "../name.ts";
import { writePem } from "../pem.ts";
import type { ThrowAwayCertificate } from "../throw_away.ts";

const HOUR_MS = 3600 * 1000;

/** Makes a self-signed certificate with a common name. */
export async function createNamedCertificate(commonName: string): Promise<ThrowAwayCertificate> {
  const keys = await generateKeyPair("p-256");
  const certificate = await mintCertificate({
    subject: [{ oid: ATTRIBUTE.commonName, value: commonName }],
    spki: keys.spki,
    notBefore: new Date(Date.now() - HOUR_MS),
    notAfter: new Date(Date.now() + HOUR_MS),
    isCa: false,
    keyUsage: ["digitalSignature"],
    extKeyUsage: [EXT_KEY_USAGE.serverAuth],
    dnsNames: ["server.example"],
  }, { keys });
  return { certificatePem: writePem("CERTIFICATE", certificate.der), keyPem: await privateKeyPem(keys) };
}
