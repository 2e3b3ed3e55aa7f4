/**
 * The two certificates of a node, in the order in which nothing is signed that is not on record and still wanted.
 *
 * @module
 */
import type { UnsignedCertificate, UnsignedNodeCertificates } from "../certificate/ca.ts";
import type { Certificate } from "../certificate/x509.ts";
import type { AdmissionRecords, NodeCertificateRecord } from "../kubernetes/admission_records.ts";
import { hex, sha256 } from "../platform/bytes.ts";

/** A node's certificates. */
export interface NodeCertificates {
  /** With which the kubelet calls the API server. */
  readonly client: Certificate;
  /** With which the kubelet serves. */
  readonly serving: Certificate;
  /** When the first of them ends. */
  readonly notAfterMs: number;
}

/** The admission that certificates are for. */
export interface CertifiedAdmission {
  readonly identity: string;
  /** The UID of the identity's record. */
  readonly uid: string;
  /** The epoch that the client certificate carries. */
  readonly epoch: number;
}

/**
 * Records the serial numbers and contents of certificates, and signs them.
 *
 * @param admissions Where they are recorded.
 * @param admission The admission that they are for.
 * @param unsigned The certificates.
 * @param confirm Throws if they must not be signed any more. Called after they were recorded, directly before both
 *   signatures.
 * @throws {BootstrapError} The errors of `confirm`, and of `AdmissionRecords.recordCertificates()`.
 */
export async function recordAndSign(
  admissions: Pick<AdmissionRecords, "recordCertificates">,
  { identity, uid, epoch }: CertifiedAdmission,
  { client, serving }: UnsignedNodeCertificates,
  confirm: () => Promise<void>,
): Promise<NodeCertificates> {
  await admissions.recordCertificates(identity, uid, [
    { ...await recordOf("client", client), epoch },
    await recordOf("serving", serving),
  ]);
  await confirm();
  const [signedClient, signedServing] = await Promise.all([client.sign(), serving.sign()]);
  return {
    client: signedClient,
    serving: signedServing,
    notAfterMs: Math.min(client.notAfter.getTime(), serving.notAfter.getTime()),
  };
}

async function recordOf(
  usage: NodeCertificateRecord["usage"],
  { serialNumber, tbs, notAfter }: UnsignedCertificate,
): Promise<NodeCertificateRecord> {
  return { usage, serial: hex(serialNumber), digest: hex(await sha256(tbs)), notAfterMs: notAfter.getTime() };
}
