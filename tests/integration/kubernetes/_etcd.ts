import type { EtcdCredentials } from "../../../kubernetes/etcd.ts";
import type { NodeProcess, WorldNode } from "../../world_node.ts";

const PKI = "/etc/kubernetes/pki";
const CONFIG = "/etc/kubernetes/kubeadm.yaml";

/** Makes etcd's certificates on a node with kubeadm, under the CA of another node's etcd or under a new one. */
export async function makeEtcdCertificates(node: WorldNode, caOf?: WorldNode): Promise<void> {
  await node.write(
    CONFIG,
    `apiVersion: kubeadm.k8s.io/v1beta4
kind: InitConfiguration
localAPIEndpoint: {advertiseAddress: ${node.ip}}
nodeRegistration: {name: ${node.name}}
---
apiVersion: kubeadm.k8s.io/v1beta4
kind: ClusterConfiguration
kubernetesVersion: v1.36.3
encryptionAlgorithm: ECDSA-P256
`,
  );
  for (const name of caOf === undefined ? [] : ["ca.crt", "ca.key"]) {
    await node.write(`${PKI}/etcd/${name}`, await caOf?.read(`${PKI}/etcd/${name}`) ?? "");
  }
  for (const phase of ["etcd-ca", "etcd-server", "etcd-peer", "etcd-healthcheck-client"]) {
    await succeed(node, ["kubeadm", "init", "phase", "certs", phase, "--config", CONFIG]);
  }
}

/** The client certificate that kubeadm itself uses on a node. */
export async function etcdCredentials(node: WorldNode): Promise<EtcdCredentials> {
  return {
    caPem: await node.read(`${PKI}/etcd/ca.crt`),
    certificatePem: await node.read(`${PKI}/etcd/healthcheck-client.crt`),
    keyPem: await node.read(`${PKI}/etcd/healthcheck-client.key`),
  };
}

/**
 * Starts etcd on a node with the flags of kubeadm's static Pod. A member that starts later lists the earlier ones in
 * `others`.
 */
export function startEtcd(node: WorldNode, others: readonly WorldNode[] = []): NodeProcess {
  const peer = ({ name, ip }: WorldNode) => `${name}=https://${ip}:2380`;
  return node.start([
    ...["etcd", `--name=${node.name}`, "--data-dir=/var/lib/etcd", "--snapshot-count=10000"] as const,
    `--listen-client-urls=https://127.0.0.1:2379,https://${node.ip}:2379`,
    ...[`--advertise-client-urls=https://${node.ip}:2379`, "--listen-metrics-urls=http://127.0.0.1:2381"],
    ...[`--listen-peer-urls=https://${node.ip}:2380`, `--initial-advertise-peer-urls=https://${node.ip}:2380`],
    ...[`--initial-cluster=${[...others, node].map(peer).join(",")}`],
    ...(others.length === 0 ? [] : ["--initial-cluster-state=existing"]),
    ...["--client-cert-auth=true", `--trusted-ca-file=${PKI}/etcd/ca.crt`],
    ...[`--cert-file=${PKI}/etcd/server.crt`, `--key-file=${PKI}/etcd/server.key`],
    ...["--peer-client-cert-auth=true", `--peer-trusted-ca-file=${PKI}/etcd/ca.crt`],
    ...[`--peer-cert-file=${PKI}/etcd/peer.crt`, `--peer-key-file=${PKI}/etcd/peer.key`],
  ]);
}

/** Runs etcdctl on a node against its own etcd. Returns the output, or `undefined` if it fails. */
export async function etcdctl(node: WorldNode, ...args: readonly string[]): Promise<string | undefined> {
  const { code, output } = await node.run([
    ...["etcdctl", "--endpoints=https://127.0.0.1:2379", `--cacert=${PKI}/etcd/ca.crt`] as const,
    ...[`--cert=${PKI}/etcd/healthcheck-client.crt`, `--key=${PKI}/etcd/healthcheck-client.key`],
    ...args,
  ]);
  return code === 0 ? output : undefined;
}

async function succeed(node: WorldNode, argv: readonly [string, ...string[]]): Promise<void> {
  const { code, output } = await node.run(argv);
  if (code !== 0) throw new Error(`${argv.join(" ")} on ${node.name} ended with ${code}: ${output}`);
}
