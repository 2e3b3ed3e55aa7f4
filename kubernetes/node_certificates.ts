/**
 * The two certificates of a node, in the order in which nothing is signed that is not on record and still wanted.
 *
 * @module
 */
import type { UnsignedCertificate, UnsignedNodeCertificates } from "../certificate/ca.ts";
import { hex, sha256 } from "../platform/bytes.ts";
import type { NodeCertificateRecord } from "./_admission_record.ts";
import type { NodeCertificates } from "./kubelet_credentials.ts";

/** What comes before the signatures. */
export interface BeforeSigning {
  /** The epoch that the client certificate carries. */
  readonly epoch: number;
  /** Records the certificates of the admission. */
  readonly record: (certificates: readonly NodeCertificateRecord[]) => Promise<void>;
  /** Throws if they must not be signed any more. Called when they are on record, directly before both signatures. */
  readonly confirm: () => Promise<void>;
}

/**
 * Records the serial numbers and contents of certificates, and signs them.
 *
 * @throws {BootstrapError} The errors of `record` and `confirm`. Nothing is signed then.
 */
export async function recordAndSign(
  { client, serving }: UnsignedNodeCertificates,
  { epoch, record, confirm }: BeforeSigning,
): Promise<NodeCertificates> {
  await record([{ ...await recordOf("client", client), epoch }, await recordOf("serving", serving)]);
  await confirm();
  const [signedClient, signedServing] = await Promise.all([client.sign(), serving.sign()]);
  return { client: signedClient, serving: signedServing };
}

async function recordOf(
  usage: NodeCertificateRecord["usage"],
  { serialNumber, tbs, notAfter }: UnsignedCertificate,
): Promise<NodeCertificateRecord> {
  return { usage, serial: hex(serialNumber), digest: hex(await sha256(tbs)), notAfterMs: notAfter.getTime() };
}
