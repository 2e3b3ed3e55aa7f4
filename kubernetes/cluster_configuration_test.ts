import assert from "node:assert/strict";
import fc from "fast-check";
import { parse } from "yaml";
import { BootstrapError } from "../platform/errors.ts";
import {
  clusterConfigurationText,
  clusterDocumentOf,
  readClusterConfiguration,
  withLoopbackName,
  withoutKubeletSigner,
} from "./cluster_configuration.ts";
import { readClusterSettings } from "./settings.ts";

/** As kubeadm 1.36.3 wrote it, with what an administrator may have added. */
const TEXT = `apiServer:
  certSANs:
  - k8s.example.org
  extraArgs:
  - name: authorization-mode
    value: Node,RBAC
  - name: audit-log-maxage
    value: "7"
  extraVolumes:
  - hostPath: /etc/audit
    mountPath: /etc/audit
    name: audit
apiVersion: kubeadm.k8s.io/v1beta4
caCertificateValidityPeriod: 87600h0m0s
certificateValidityPeriod: 8760h0m0s
certificatesDir: /etc/kubernetes/pki
clusterName: kubernetes
controlPlaneEndpoint: 10.0.0.9:6443
controllerManager:
  extraArgs:
  - name: bind-address
    value: 0.0.0.0
  - name: cluster-signing-key-file
    value: /etc/kubernetes/pki/ca.key
dns: {}
encryptionAlgorithm: RSA-2048
etcd:
  local:
    dataDir: /var/lib/etcd
imageRepository: registry.k8s.io
kind: ClusterConfiguration
kubernetesVersion: v1.36.3
networking:
  dnsDomain: cluster.local
  podSubnet: 10.244.0.0/16
  serviceSubnet: 10.96.0.0/12
proxy: {}
scheduler: {}
`;

const configuration = readClusterConfiguration(TEXT);

Deno.test("clusterDocumentOf() gives settings that the join service reads", () => {
  const settings = readClusterSettings(clusterDocumentOf(configuration));
  assert.equal(settings.kubernetesVersion, "v1.36.3");
  assert.equal(settings.controlPlaneEndpoint, "10.0.0.9:6443");
  assert.deepEqual([settings.podSubnet, settings.serviceSubnet], ["10.244.0.0/16", "10.96.0.0/12"]);
  assert.ok(settings.kubeProxy && settings.coreDns);
});

Deno.test("withLoopbackName() adds one name, once, and changes nothing else", () => {
  const once = withLoopbackName(configuration);
  assert.deepEqual(once.apiServer.certSANs, ["k8s.example.org", "127.0.0.1"]);
  assert.deepEqual(withLoopbackName(once), once);
  const { apiServer: _, ...rest } = parse(clusterConfigurationText(once));
  const { apiServer: __, ...before } = parse(TEXT);
  for (const [key, value] of Object.entries(rest)) assert.deepEqual(value, before[key], key);
  assert.equal(rest.encryptionAlgorithm, "RSA-2048");
});

Deno.test("withoutKubeletSigner() keeps what an administrator added, and may be repeated", () => {
  const ended = withoutKubeletSigner(configuration);
  const [api, manager] = [ended.apiServer, ended.controllerManager].map(({ extraArgs }) =>
    Object.fromEntries(extraArgs.map(({ name, value }) => [name, value]))
  );
  assert.deepEqual(api, {
    "audit-log-maxage": "7",
    "kubelet-certificate-authority": "/etc/kubernetes/pki/ca.crt",
    "authorization-config": "/etc/kubernetes/bootstrapper/authorization.yaml",
  });
  assert.deepEqual(manager, {
    "bind-address": "0.0.0.0",
    "cluster-signing-cert-file": "",
    "cluster-signing-key-file": "",
    "cluster-signing-kube-apiserver-client-cert-file": "/etc/kubernetes/pki/ca.crt",
    "cluster-signing-kube-apiserver-client-key-file": "/etc/kubernetes/pki/ca.key",
  });
  assert.deepEqual(ended.apiServer.extraVolumes.map(({ name }) => name), ["audit", "bootstrapper"]);
  assert.deepEqual(withoutKubeletSigner(readClusterConfiguration(clusterConfigurationText(ended))), ended);
});

Deno.test("clusterConfigurationText() keeps arguments whose value is empty", () => {
  const { controllerManager } = parse(clusterConfigurationText(withoutKubeletSigner(configuration)));
  const empty = controllerManager.extraArgs.filter(({ value }: { value: string }) => value === "");
  assert.deepEqual(empty.map(({ name }: { name: string }) => name), [
    "cluster-signing-cert-file",
    "cluster-signing-key-file",
  ]);
});

Deno.test("readClusterConfiguration() names the key of another form, and never crashes", () => {
  const old = TEXT.replace("  - name: bind-address\n    value: 0.0.0.0\n", "").replace(
    "  - name: cluster-signing-key-file\n    value: ",
    "    cluster-signing-key-file: ",
  );
  assert.notEqual(old, TEXT);
  assert.throws(() => readClusterConfiguration(old), { code: "malformed/kubeadm-config" });
  assert.throws(() => readClusterConfiguration(": ["), { code: "malformed/kubeadm-config" });
  const alter = fc.tuple(fc.nat({ max: TEXT.length - 1 }), fc.string({ minLength: 1, maxLength: 3 }));
  fc.assert(fc.property(alter, ([index, text]) => {
    try {
      const read = readClusterConfiguration(TEXT.slice(0, index) + text + TEXT.slice(index + 1));
      assert.deepEqual(readClusterConfiguration(clusterConfigurationText(read)), read);
    } catch (error) {
      assert.ok(error instanceof BootstrapError, String(error));
    }
  }));
});
