/**
 * Starts a control plane's static Pods anew, one after the other.
 *
 * The kubelet starts a static Pod anew when its manifest changes, and shows the manifest's annotations in the Pod's
 * mirror object. So an annotation both starts the Pod anew and tells the new one from the old one.
 *
 * @module
 */
import { basename, join } from "node:path";
import * as v from "valibot";
import { isMap, parseDocument } from "yaml";
import { fromUtf8, utf8 } from "../platform/bytes.ts";
import { asBootstrapError, BootstrapError } from "../platform/errors.ts";
import { readFileIfExists, writeFileAtomic } from "../platform/files.ts";
import { pollUntil, type Wait } from "./_poll.ts";
import type { KubernetesApi } from "./api.ts";

/** The static Pods of a control plane, in the order in which they are started anew. */
export const STATIC_PODS = ["etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"] as const;

/** The name of a control plane's static Pod. */
export type StaticPod = typeof STATIC_PODS[number];

/** The annotation in the manifest: when the Pod was last started anew, ISO 8601. */
export const RESTART_ANNOTATION = "bootstrapper.dev/restarted-at";
const MAXIMUM_MANIFEST_BYTES = 1 << 20;
/** kubeadm's mode of the manifests. */
const MANIFEST_MODE = 0o600;
const FIRST_POLL_MS = 500;
const LONGEST_POLL_MS = 5_000;

const podSchema = v.object({
  metadata: v.object({ annotations: v.optional(v.record(v.string(), v.string()), {}) }),
  status: v.optional(
    v.object({
      conditions: v.optional(v.array(v.object({ type: v.string(), status: v.string() })), []),
    }),
    {},
  ),
});

/**
 * Writes the annotation into a Pod's manifest, which has the kubelet start the Pod anew. Does nothing if the manifest
 * has it already, or if there is none: an etcd outside the cluster has no Pod.
 *
 * @param kubernetesFolder `/etc/kubernetes` on a node.
 * @param time Of this restart, ISO 8601.
 * @returns Whether there is a manifest.
 * @throws {BootstrapError} `malformed/manifest`, `system/file`.
 */
export async function annotateStaticPod(kubernetesFolder: string, pod: StaticPod, time: string): Promise<boolean> {
  const path = join(kubernetesFolder, "manifests", `${pod}.yaml`);
  const bytes = await readFileIfExists(path, MAXIMUM_MANIFEST_BYTES);
  if (bytes === undefined) return false;
  const document = parseDocument(fromUtf8(bytes, path));
  if (document.errors.length > 0 || !isMap(document.contents) || !isMap(document.get("metadata"))) {
    throw new BootstrapError("malformed/manifest", `Cannot read the static Pod's manifest ${path}`, {
      details: { path },
    });
  }
  if (document.getIn(["metadata", "annotations", RESTART_ANNOTATION]) === time) return true;
  document.setIn(["metadata", "annotations", RESTART_ANNOTATION], time);
  // The temporary file begins with a dot; the kubelet reads no such file (`extractFromDir` in its `config/file.go`).
  await writeFileAtomic(path, utf8(document.toString()), { mode: MANIFEST_MODE });
  return true;
}

/**
 * Waits until the Pod that has the annotation is Ready. Meanwhile the API server itself may be the one that starts.
 *
 * @throws {BootstrapError} `timeout/static-pod`.
 */
export async function awaitStaticPod(
  api: () => Promise<Pick<KubernetesApi, "find"> & Disposable>,
  { pod, nodeName, time }: { readonly pod: StaticPod; readonly nodeName: string; readonly time: string },
  wait: Wait,
): Promise<void> {
  const name = `${basename(pod)}-${nodeName}`;
  await pollUntil(async () => {
    // An API server that has just started refuses for seconds, too, as it has not read its roles.
    const found = await find(api, `/api/v1/namespaces/kube-system/pods/${name}`).catch((cause) => {
      wait.signal?.throwIfAborted();
      wait.onFailedTry?.(asBootstrapError(cause));
      return undefined;
    });
    if (found?.metadata.annotations[RESTART_ANNOTATION] !== time) return undefined;
    return found.status.conditions.some(({ type, status }) => type === "Ready" && status === "True") || undefined;
  }, {
    ...wait,
    ...{ firstMs: FIRST_POLL_MS, longestMs: LONGEST_POLL_MS, code: "timeout/static-pod" },
    failure: `The Pod ${name} did not start anew`,
    next: `Look at its log: crictl ps -a --name ${pod}. The next renewal starts it anew, if it still does not run`,
  });
}

async function find(
  api: () => Promise<Pick<KubernetesApi, "find"> & Disposable>,
  path: string,
): Promise<v.InferOutput<typeof podSchema> | undefined> {
  using client = await api();
  return await client.find(path, podSchema);
}
