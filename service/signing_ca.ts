/**
 * The cluster's CA as the join service has it: a certificate, and a key that signs and cannot be exported.
 *
 * @module
 */
import { join } from "node:path";
import type { CertificateAuthority } from "../certificate/ca.ts";
import { joinCertificateAuthority } from "../certificate/ca.ts";
import { readIssuerKeyPem } from "../certificate/issuer_key.ts";
import { readCertificate } from "../certificate/x509.ts";
import { CREDENTIAL_KEY_FILES, MAXIMUM_KEY_PEM_BYTES } from "../kubernetes/cluster_keys.ts";
import { fromUtf8 } from "../platform/bytes.ts";
import { readFile } from "../platform/files.ts";

/**
 * Opens the CA whose key is among the unit's credentials.
 *
 * @param caCertificate The CA's certificate, DER, from the service's state.
 * @param credentialsFolder The folder of the unit's credentials.
 * @throws {BootstrapError} `precondition/ca-key` if the key is not the certificate's; `refused/key-type`, `malformed/…`,
 *   `system/file` if there is no key.
 */
export async function openSigningCa(
  caCertificate: Uint8Array,
  credentialsFolder: string,
): Promise<CertificateAuthority> {
  const path = join(credentialsFolder, CREDENTIAL_KEY_FILES.caKey);
  const pem = await readFile(path, MAXIMUM_KEY_PEM_BYTES);
  try {
    const keys = await readIssuerKeyPem(fromUtf8(pem, path), path);
    return joinCertificateAuthority(readCertificate(caCertificate, "CA certificate"), keys);
  } finally {
    pem.fill(0);
  }
}
