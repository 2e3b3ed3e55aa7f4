/**
 * The versions of kubelets that a cluster accepts.
 *
 * @module
 */
import { KUBELET_MINORS_BEHIND, readVersion } from "../kubernetes/version.ts";
import { BootstrapError } from "../platform/errors.ts";

/**
 * Refuses a kubelet that is newer than the API server, or too old for it.
 *
 * @param kubelet Such as `v1.36.3`.
 * @param apiServer Such as `v1.36.3`.
 * @throws {BootstrapError} `precondition/version-skew`; `malformed/kubernetes-version`.
 */
export function checkKubeletVersion(kubelet: string, apiServer: string): void {
  const behind = readVersion(apiServer).minor - readVersion(kubelet).minor;
  if (behind >= 0 && behind <= KUBELET_MINORS_BEHIND) return;
  const expected = `${apiServer}, or up to ${KUBELET_MINORS_BEHIND} minor versions older`;
  throw new BootstrapError(
    "precondition/version-skew",
    `The cluster does not accept the kubelet ${kubelet}: it must be ${expected}`,
    {
      next: "Build the node from an image with a kubelet that fits, or upgrade the cluster first",
      details: { check: "version-skew", expected, seen: kubelet },
    },
  );
}
