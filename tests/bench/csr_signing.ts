import * as v from "valibot";
import type { CertificateAuthority } from "../../certificate/ca.ts";
import { issueClientCertificate } from "../../certificate/ca.ts";
import { readCsr } from "../../certificate/csr.ts";
import { writePem } from "../../certificate/pem.ts";
import type { KubernetesApi } from "../../kubernetes/api.ts";
import type { Bytes } from "../../platform/bytes.ts";
import { base64, utf8 } from "../../platform/bytes.ts";
import { requestObject, REQUESTS } from "./kubeadm_calls.ts";

/** A signer that no controller serves. */
const SIGNER = "bench.bootstrapper.dev/node";
const LIFETIME_MS = 24 * 3_600_000;

const storedSchema = v.looseObject({});
const signedSchema = v.object({ status: v.object({ certificate: v.string() }) });

/**
 * Has a certificate signed as Kubernetes does without any attestation: a CertificateSigningRequest is created, approved
 * through its subresource, signed, and read back. The signer is this project's own code in the requester's process, as
 * its work is the same wherever it runs.
 *
 * @param csr PKCS#10, DER.
 */
export async function signByRequest(
  api: KubernetesApi,
  ca: CertificateAuthority,
  name: string,
  csr: Bytes,
): Promise<void> {
  const path = `${REQUESTS}/${name}`;
  const created = await api.create(REQUESTS, requestObject(name, csr, SIGNER), storedSchema);
  const conditions = [{ type: "Approved", status: "True", reason: "Bench", message: "approved by the bench" }];
  const approved = await api.replace(`${path}/approval`, { ...created, status: { conditions } }, storedSchema);
  const { subject: { attributes: subject }, spki } = await readCsr(csr);
  const { der } = await issueClientCertificate(ca, { spki, subject, lifetimeMs: LIFETIME_MS }, new Date());
  const certificate = base64(utf8(writePem("CERTIFICATE", der)));
  await api.replace(`${path}/status`, { ...approved, status: { conditions, certificate } }, storedSchema);
  const { status } = await api.get(path, signedSchema);
  if (status.certificate !== certificate) throw new Error(`${path} has another certificate`);
}
