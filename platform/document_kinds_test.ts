import assert from "node:assert/strict";
import fc from "fast-check";
import type { DocumentKind } from "./document_kinds.ts";
import { likelyKind, strangerKind } from "./document_kinds.ts";
import { readYaml } from "./yaml.ts";

const ROWS: readonly (readonly [text: string, kind: DocumentKind | undefined])[] = [
  ["version: 1\ntrust: {}\n", "node"],
  ["version: 1\nTrust: {}\n", "node"],
  ["clusterName: demo\noperatorKeys: []\n", "node"],
  ["trust: {}\nkubernetesVersion: v1.36.3\nnode: {}\n", "node"],
  ["kubernetesVersion: v1.36.3\n", "cluster"],
  ["kubernetesversion: v1.36.3\nclusterName: a\n", "cluster"],
  ["apiVersion: kubeadm.k8s.io/v1beta4\nkind: ClusterConfiguration\n", "cluster"],
  ["apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\n", "cluster"],
  ["version: 1\nvariant: tpm\n", "policy"],
  ["collateral: {}\nnames: {}\n", "policy"],
  ["clusterName: demo\n", undefined],
  ["allowUnmeasuredImage: true\n", "node"],
  ["a: 1\n", undefined],
  ["", undefined],
];

Deno.test("likelyKind() recognises a document by its keys, parsed or not", () => {
  for (const [text, kind] of ROWS) {
    assert.equal(likelyKind(text, readYaml(text)), kind, text);
    if (!text.includes("{}")) assert.equal(likelyKind(text, undefined), kind, text);
  }
});

Deno.test("strangerKind() recognises files of others, and none of ours or of kubeadm's", () => {
  for (const [text] of ROWS) assert.equal(strangerKind(text, readYaml(text)), undefined, text);
  assert.equal(strangerKind("#cloud-config\n", null), "a cloud-config");
  assert.equal(
    strangerKind("version: 1\nclusterId: a\nfounding: {}\n", { clusterId: "a", founding: {} }),
    "a cluster file, which `bootstrapper init` writes",
  );
});

Deno.test("likelyKind() and strangerKind() take every text and value", () => {
  fc.assert(fc.property(fc.string({ unit: "binary" }), fc.anything(), (text, value) => {
    likelyKind(text, value);
    strangerKind(text, value);
  }));
});
