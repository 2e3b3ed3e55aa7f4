/**
 * The cluster ID: the SHA-256 of the cluster CA's SPKI, as in kubeadm's `--discovery-token-ca-cert-hash`.
 *
 * @module
 */
import type { Bytes } from "../platform/bytes.ts";
import { fromHex, hex, sha256 } from "../platform/bytes.ts";
import { BootstrapError } from "../platform/errors.ts";
import type { Certificate } from "./x509.ts";

/** The length of a cluster ID in bytes. */
export const CLUSTER_ID_BYTES = 32;

const PREFIX = "sha256:";

/** The text form of a cluster ID. */
export const CLUSTER_ID_TEXT: RegExp = /^sha256:[0-9a-f]{64}$/;

/** Computes the ID of the cluster that a CA certificate belongs to, 32 bytes. */
export function clusterIdOf(caCertificate: Pick<Certificate, "spki">): Promise<Bytes> {
  return sha256(caCertificate.spki);
}

/** Formats a cluster ID as kubeadm does: `sha256:` and 64 lower-case hexadecimal digits. */
export function clusterIdText(clusterId: Uint8Array): string {
  if (clusterId.length !== CLUSTER_ID_BYTES) {
    throw new BootstrapError(
      "internal/cluster-id",
      `A cluster ID has ${CLUSTER_ID_BYTES} bytes, not ${clusterId.length}`,
    );
  }
  return PREFIX + hex(clusterId);
}

/**
 * Reads a cluster ID in its text form.
 *
 * @param what The name of the field, for errors.
 * @throws {BootstrapError} `malformed/cluster-id`.
 */
export function readClusterId(text: string, what: string): Bytes {
  if (!CLUSTER_ID_TEXT.test(text)) {
    throw new BootstrapError(
      "malformed/cluster-id",
      `Cannot read "${what}" as a cluster ID: it must be "sha256:" and 64 lower-case hexadecimal digits`,
    );
  }
  return fromHex(text.slice(PREFIX.length), what);
}
