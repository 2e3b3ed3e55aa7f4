/**
 * The versions of kubelets that a cluster accepts.
 *
 * @module
 */
import { BootstrapError } from "../platform/errors.ts";

/** How many minor versions a kubelet may be behind the API server (Kubernetes, version skew policy, "kubelet"). */
const MAXIMUM_MINORS_BEHIND = 3;

/**
 * Refuses a kubelet that is newer than the API server, or too old for it.
 *
 * @param kubelet Such as `v1.36.3`.
 * @param apiServer Such as `v1.36.3`.
 * @throws {BootstrapError} `precondition/version-skew`; `malformed/kubernetes-version`.
 */
export function checkKubeletVersion(kubelet: string, apiServer: string): void {
  const behind = minorOf(apiServer) - minorOf(kubelet);
  if (behind >= 0 && behind <= MAXIMUM_MINORS_BEHIND) return;
  const expected = `${apiServer}, or up to ${MAXIMUM_MINORS_BEHIND} minor versions older`;
  throw new BootstrapError(
    "precondition/version-skew",
    `The cluster does not accept the kubelet ${kubelet}: it must be ${expected}`,
    {
      next: "Build the node from an image with a kubelet that fits, or upgrade the cluster first",
      details: { check: "version-skew", expected, seen: kubelet },
    },
  );
}

function minorOf(version: string): number {
  const [, minor] = /^v1\.(\d{1,3})\./.exec(version) ?? [];
  if (minor !== undefined) return Number(minor);
  throw new BootstrapError("malformed/kubernetes-version", `${JSON.stringify(version)} is not a version of Kubernetes`);
}
