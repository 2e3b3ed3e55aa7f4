import { join } from "node:path";
import { joinCertificateAuthority } from "../certificate/ca.ts";
import type { CertificateAuthority } from "../certificate/ca.ts";
import { readIssuerKeyPem } from "../certificate/issuer_key.ts";
import { readPem } from "../certificate/pem.ts";
import type { Certificate } from "../certificate/x509.ts";
import { readCertificate } from "../certificate/x509.ts";
import { fromUtf8 } from "../platform/bytes.ts";
import { readFile } from "../platform/files.ts";
import type { NodePaths } from "./paths.ts";

const MAXIMUM_PEM_BYTES = 1 << 16;

/** Reads the cluster's CA with its key, which a control plane has on its disk. */
export async function readClusterCa({ kubernetes }: NodePaths): Promise<CertificateAuthority> {
  const read = async (name: string) => {
    const path = join(kubernetes, "pki", name);
    return fromUtf8(await readFile(path, MAXIMUM_PEM_BYTES), path);
  };
  const certificate: Certificate = readCertificate(readPem(await read("ca.crt"), "CERTIFICATE", "ca.crt"), "ca.crt");
  return joinCertificateAuthority(certificate, await readIssuerKeyPem(await read("ca.key"), "ca.key"));
}
