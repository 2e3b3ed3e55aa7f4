import type { CertificateAuthority, NodeCertificateRequest } from "../ca.ts";
import { prepareNodeCertificates } from "../ca.ts";
import type { Certificate } from "../x509.ts";

/** Makes and signs the two certificates of a node. Throws like {@linkcode prepareNodeCertificates}. */
export async function issueNodeCertificates(
  ca: CertificateAuthority,
  request: NodeCertificateRequest,
  now: Date,
): Promise<{ readonly client: Certificate; readonly serving: Certificate }> {
  const { client, serving } = await prepareNodeCertificates(ca, request, now);
  return { client: await client.sign(), serving: await serving.sign() };
}
