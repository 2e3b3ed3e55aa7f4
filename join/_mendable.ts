/**
 * Which failures of a join are tried again: before the lock, and after it.
 *
 * @module
 */
import type { AnyErrorCode, BootstrapError } from "../platform/errors.ts";
import { errorFamily } from "../platform/errors.ts";
import { isOwnFailure } from "./ticket_search.ts";

/** Failures of other programs, which another run of them may not have. */
const OF_OTHER_PROGRAMS: readonly AnyErrorCode[] = ["system/kubeadm", "system/command", "system/etcd"];
/** Failures of the machine's devices: a new process opens them anew. */
const OF_DEVICES: readonly AnyErrorCode[] = [
  "system/device",
  "system/device-silent",
  "system/snp-report",
  "system/tdx-quote",
  "system/tdx-register",
  "system/tpm",
  "system/tpm-pcr",
  "system/tpm-silent",
  "system/tpm-transport",
  "system/tsm",
  "system/tsm-generation",
];

/**
 * Decides what is retried after the lock. The node then belongs to its cluster for good, so it waits here, for minutes,
 * for what only people can fix. A process that ended instead would be restarted, and would stop the kubelet each time.
 * Only a broken device or a defect of this program ends it.
 */
export function isNoDefect(error: BootstrapError): boolean {
  return errorFamily(error.code) !== "internal" && !(isOwnFailure(error) && OF_DEVICES.includes(error.code));
}

/** What people, time or a fresh ticket may fix, although it is not retriable. */
const MENDED_BY_PEOPLE: readonly AnyErrorCode[] = [
  "precondition/preflight",
  ...OF_OTHER_PROGRAMS,
  // An API server that has just started, and what kubeadm keeps in the cluster.
  "unauthorized/kubernetes-api",
  "precondition/not-found",
  "malformed/kubeadm-config",
];

/** Whether people, time or a fresh ticket may fix the error. Other errors need another image or another program. */
export function canBeMended({ code, retriable }: BootstrapError): boolean {
  return retriable || MENDED_BY_PEOPLE.includes(code);
}
