import * as v from "valibot";
import { parse } from "yaml";
import type { KubernetesApi } from "../kubernetes/api.ts";

const PODS = "/api/v1/namespaces/kube-system/pods";
const HASH = "kubernetes.io/config.hash";

const nodeSchema = v.object({ metadata: v.object({ uid: v.string() }) });
const podsSchema = v.object({
  items: v.array(v.object({
    metadata: v.object({ name: v.string(), annotations: v.optional(v.record(v.string(), v.string()), {}) }),
  })),
});
const manifestSchema = v.looseObject({
  metadata: v.looseObject({ name: v.string(), annotations: v.optional(v.record(v.string(), v.string()), {}) }),
  spec: v.looseObject({}),
});

/** The node whose static Pods are mirrored. */
export interface MirroringNode {
  readonly name: string;
  readonly ip: string;
}

async function hashOf(text: string): Promise<string> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text))).toHex().slice(0, 32);
}

/**
 * Makes the Pods in the API match the manifests, as the kubelet does. kubeadm finds etcd's members through these Pods.
 *
 * @param manifests The manifests by file name; nothing is done while one of them is empty.
 */
export async function mirrorStaticPods(
  api: KubernetesApi,
  node: MirroringNode,
  manifests: ReadonlyMap<string, string>,
): Promise<void> {
  const { items } = await api.get(`${PODS}?fieldSelector=spec.nodeName%3D${node.name}`, podsSchema);
  const there = new Map(items.map(({ metadata }) => [metadata.name, metadata.annotations[HASH]]));
  const wanted = new Map<string, { readonly hash: string; readonly manifest: v.InferOutput<typeof manifestSchema> }>();
  if ([...manifests.values()].includes("")) return;
  for (const text of manifests.values()) {
    const manifest = v.parse(manifestSchema, parse(text));
    wanted.set(`${manifest.metadata.name}-${node.name}`, { hash: await hashOf(text), manifest });
  }
  for (const [name, hash] of there) {
    if (hash === undefined || wanted.get(name)?.hash === hash) continue;
    // A Pod that has ended can be deleted at once.
    await api.merge(`${PODS}/${name}/status`, { status: { phase: "Succeeded" } }, v.unknown());
    await api.remove(`${PODS}/${name}`);
    there.delete(name);
  }
  for (const [name, { hash, manifest }] of wanted) if (!there.has(name)) await create(api, node, name, hash, manifest);
}

async function create(
  api: KubernetesApi,
  node: MirroringNode,
  name: string,
  hash: string,
  { metadata, spec }: v.InferOutput<typeof manifestSchema>,
): Promise<void> {
  const owner = await api.get(`/api/v1/nodes/${node.name}`, nodeSchema);
  const annotations = { ...metadata.annotations, [HASH]: hash, "kubernetes.io/config.mirror": hash };
  const reference = { apiVersion: "v1", kind: "Node", name: node.name, uid: owner.metadata.uid, controller: true };
  await api.create(PODS, {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { ...metadata, name, annotations, ownerReferences: [reference] },
    spec: { ...spec, nodeName: node.name },
  }, v.unknown());
  const ready = { type: "Ready", status: "True", lastTransitionTime: new Date().toISOString().replace(/\.\d+/, "") };
  const status = { phase: "Running", hostIP: node.ip, podIP: node.ip, conditions: [ready] };
  await api.merge(`${PODS}/${name}/status`, { status }, v.unknown());
}
