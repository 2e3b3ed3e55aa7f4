import assert from "node:assert/strict";
import fc from "fast-check";
import { parseAllDocuments } from "yaml";
import type { KubernetesApi } from "./api.ts";
import { liveClusterConfiguration, liveImagesDocument } from "./kubeadm_config.ts";

const node = { name: "cp-2", address: "10.0.0.2" };

function apiWith(answer: unknown): { readonly api: Pick<KubernetesApi, "get">; readonly paths: string[] } {
  const paths: string[] = [];
  const api: Pick<KubernetesApi, "get"> = {
    async get(path, schema) {
      paths.push(path);
      const result = await schema["~standard"].validate(answer);
      if (result.issues !== undefined) throw new Error("unexpected answer");
      return result.value;
    },
  };
  return { api, paths };
}

Deno.test("liveClusterConfiguration() reads what kubeadm keeps in the cluster, whatever version founded it", async () => {
  const text = "apiVersion: kubeadm.k8s.io/v1beta4\nkind: ClusterConfiguration\nkubernetesVersion: v1.37.2\n";
  const { api, paths } = apiWith({ data: { ClusterConfiguration: text } });
  assert.equal(await liveClusterConfiguration(api), text);
  assert.deepEqual(paths, ["/api/v1/namespaces/kube-system/configmaps/kubeadm-config"]);
  const [init, cluster] = parseAllDocuments(liveImagesDocument(text, node)).map((document) => document.toJS());
  assert.equal(cluster.kubernetesVersion, "v1.37.2");
  assert.deepEqual([init.kind, init.localAPIEndpoint.advertiseAddress], ["InitConfiguration", "10.0.0.2"]);
});

Deno.test("liveClusterConfiguration() says what is missing when the ConfigMap has no configuration", async () => {
  for (const answer of [{}, { data: {} }, { data: { ClusterConfiguration: " \n" } }]) {
    await assert.rejects(liveClusterConfiguration(apiWith(answer).api), { code: "malformed/kubeadm-config" });
  }
});

Deno.test("liveImagesDocument() leaves what the cluster says as it is", () => {
  fc.assert(fc.property(fc.string(), (text) => assert.ok(liveImagesDocument(text, node).endsWith(`---\n${text}`))));
});
