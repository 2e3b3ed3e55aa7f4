/**
 * Versions of Kubernetes, and which of them work together.
 *
 * @module
 */
import { BootstrapError } from "../platform/errors.ts";
import { shown } from "../platform/label.ts";

/** How many minor versions a kubelet may be behind the API server (Kubernetes, version skew policy, "kubelet"). */
export const KUBELET_MINORS_BEHIND = 3;

/** A version of Kubernetes 1. */
export interface KubernetesVersion {
  readonly minor: number;
  readonly patch: number;
}

/** What follows the numbers is a vendor's or a candidate's, and does not count. */
const VERSION = /^v1\.(\d{1,3})\.(\d{1,3})(?:[-+][0-9A-Za-z.+-]{1,100})?$/;

/** Reads a version such as `v1.36.3`; `undefined` if the text is none. */
export function findVersion(text: string): KubernetesVersion | undefined {
  const [, minor, patch] = VERSION.exec(text) ?? [];
  return minor === undefined || patch === undefined ? undefined : { minor: Number(minor), patch: Number(patch) };
}

/**
 * Reads a version such as `v1.36.3`.
 *
 * @throws {BootstrapError} `malformed/kubernetes-version`.
 */
export function readVersion(text: string): KubernetesVersion {
  const version = findVersion(text);
  if (version !== undefined) return version;
  throw new BootstrapError("malformed/kubernetes-version", `${shown(text)} is not a version of Kubernetes`, {
    details: { version: text.slice(0, 100) },
  });
}

/** Negative if the first version is the earlier one, zero if both are the same. */
export function compareVersions(one: KubernetesVersion, other: KubernetesVersion): number {
  return one.minor - other.minor || one.patch - other.patch;
}
