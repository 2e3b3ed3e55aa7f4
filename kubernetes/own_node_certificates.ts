/**
 * Certificates that a control plane issues to its own kubelet, with the cluster's CA on its disk. They show that the
 * machine goes on, and attest nothing.
 *
 * @module
 */
import type { CertificateAuthority, NodeCertificateRequest } from "../certificate/ca.ts";
import { prepareNodeCertificates } from "../certificate/ca.ts";
import { generateKeyPair } from "../certificate/keys.ts";
import type { NodeCertificateRecord } from "./admission_records.ts";
import type { KubeletPaths, NodeCertificates } from "./kubelet_credentials.ts";
import { installNodeCertificates } from "./kubelet_credentials.ts";
import { recordAndSign } from "./node_certificates.ts";

/** The node, its admission and the lifetime of its certificates. */
export type OwnNode = Omit<NodeCertificateRequest, "clientKey" | "servingKey">;

/** What {@linkcode renewOwnCertificates} needs. */
export interface OwnCertificateParts {
  readonly ca: CertificateAuthority;
  readonly paths: Pick<KubeletPaths, "kubelet">;
  readonly now: Date;
  /** Records the certificates before they are signed. Default: they are not on record. */
  readonly record?: (certificates: readonly NodeCertificateRecord[]) => Promise<void>;
}

const nothing = () => Promise.resolve();

/**
 * Issues and installs both certificates of this control plane's kubelet, for new keys.
 *
 * @throws {BootstrapError} `system/file`, the errors of `prepareNodeCertificates()` and of `record`.
 */
export async function renewOwnCertificates(parts: OwnCertificateParts, node: OwnNode): Promise<NodeCertificates> {
  const { ca, paths, now, record = nothing } = parts;
  const keys = { client: await generateKeyPair("p-256"), serving: await generateKeyPair("p-256") };
  const request = { ...node, clientKey: keys.client.spki, servingKey: keys.serving.spki };
  const unsigned = await prepareNodeCertificates(ca, request, now);
  const certificates = await recordAndSign(unsigned, { epoch: node.epoch, record, confirm: nothing });
  await installNodeCertificates(paths, certificates, keys);
  return certificates;
}
