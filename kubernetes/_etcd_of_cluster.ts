import { join } from "node:path";
import * as v from "valibot";
import { fromUtf8 } from "../platform/bytes.ts";
import { BootstrapError } from "../platform/errors.ts";
import { readFile } from "../platform/files.ts";
import { KubernetesApi } from "./api.ts";
import { EtcdCluster } from "./etcd.ts";
import { readKubeconfig } from "./kubeconfig.ts";

/** The query by which kubeadm finds the members (`getRawEtcdEndpointsFromPodAnnotation` in its `util/etcd`). */
const PODS = "/api/v1/namespaces/kube-system/pods?labelSelector=component%3Detcd%2Ctier%3Dcontrol-plane";
const CLIENT_URL = "kubeadm.kubernetes.io/etcd.advertise-client-urls";
const SCHEME = "https://";
const PEM_MAXIMUM_BYTES = 1 << 20;

const podsSchema = v.object({
  items: v.array(v.object({
    metadata: v.object({ annotations: v.optional(v.record(v.string(), v.string()), {}) }),
  })),
});

/**
 * Connects to the cluster's etcd from a control plane. It finds the members by the administrator's kubeconfig and
 * etcd's Pods, and uses the same client certificate as kubeadm.
 *
 * @throws {BootstrapError} `unavailable/etcd` if no Pod names a member; errors of the API, `usage/etcd-…`,
 *   `system/file`.
 */
export async function etcdOfCluster(kubernetesFolder: string): Promise<EtcdCluster> {
  using api = new KubernetesApi(await readKubeconfig(join(kubernetesFolder, "admin.conf")));
  const { items } = await api.get(PODS, podsSchema);
  const urls = items.map(({ metadata }) => metadata.annotations[CLIENT_URL] ?? "");
  const [first, ...rest] = urls.filter((url) => url.startsWith(SCHEME)).map((url) => url.slice(SCHEME.length));
  if (first === undefined) {
    throw new BootstrapError("unavailable/etcd", "No Pod of the cluster names the address of an etcd member");
  }
  const pem = async (name: string) => {
    const path = join(kubernetesFolder, "pki", "etcd", name);
    return fromUtf8(await readFile(path, PEM_MAXIMUM_BYTES), path);
  };
  return new EtcdCluster([first, ...rest], {
    caPem: await pem("ca.crt"),
    certificatePem: await pem("healthcheck-client.crt"),
    keyPem: await pem("healthcheck-client.key"),
  });
}
