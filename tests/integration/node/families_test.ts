/**
 * Clusters of IPv6 alone, and of both IP families: a founder, a second control plane, and a worker with a name of several
 * parts. kubeadm, etcd, the API server and the TPMs' software are the real ones.
 */
import assert from "node:assert/strict";
import * as v from "valibot";
import { parse } from "yaml";
import { subjectAltName } from "../../../certificate/extensions.ts";
import { readNodeCertificate } from "../../../kubernetes/kubelet_credentials.ts";
import { addressText } from "../../../platform/ip_address.ts";
import { ownEtcd } from "../../../service/control_planes.ts";
import { hasSwtpm, startSwtpm } from "../../swtpm.ts";
import type { WorldNode } from "../../world_node.ts";
import { identityOf, policyOf } from "./_tpm_policy.ts";
import { type MachineOptions, type RunMachine, RunWorld } from "./run_machine.ts";
import { RunOperator } from "./run_operator.ts";

const WORKER = "worker-1.example.internal";
const isThere = await hasSwtpm();

/** A kind of cluster. */
interface Families {
  readonly what: string;
  readonly podSubnet: string;
  readonly serviceSubnet: string;
  /** The address of the API server's Service. */
  readonly clusterIp: string;
  /** Whether the machines have IPv4 addresses, which come first. */
  readonly hasIpv4: boolean;
}

const CLUSTERS: readonly Families[] = [
  {
    ...{ what: "of both IP families", hasIpv4: true, clusterIp: "10.96.0.1" },
    ...{ podSubnet: "10.244.0.0/16,fd00:244::/56", serviceSubnet: "10.96.0.0/16,fd00:96::/112" },
  },
  {
    ...{ what: "of IPv6 alone", hasIpv4: false, clusterIp: "fd00:96::1" },
    ...{ podSubnet: "fd00:244::/56", serviceSubnet: "fd00:96::/112" },
  },
];

const nodeSchema = v.object({
  status: v.object({ addresses: v.array(v.object({ type: v.string(), address: v.string() })) }),
});
const serviceSchema = v.object({ spec: v.object({ clusterIP: v.string() }) });
const configSchema = v.object({ data: v.object({ ClusterConfiguration: v.string() }) });
const membersSchema = v.object({ members: v.array(v.object({ peerURLs: v.array(v.string()) })) });

/** Gives a machine an IPv6 address, and takes its IPv4 address away where the cluster has none. */
async function address(node: WorldNode, own: string, hasIpv4: boolean): Promise<void> {
  const script = [
    `ip -6 addr add ${own}/64 dev eth0 nodad`,
    "for which in all default; do echo 1 >/proc/sys/net/ipv6/conf/$which/forwarding; done",
    ...(hasIpv4 ? [] : [
      `ip -4 addr del ${node.ip}/24 dev eth0`,
      "ip -6 route add default via fd00:77::1 dev eth0",
      `printf '127.0.0.1 localhost\\n${own} ${node.name}\\n' >/etc/hosts`,
    ]),
  ];
  const { code, output } = await node.run(["sh", "-euc", script.join("\n")]);
  assert.equal(code, 0, output);
}

for (const families of CLUSTERS) {
  const missing = isThere ? "" : " -- IGNORED: swtpm and swtpm-tools are not installed";
  Deno.test({
    name: `a founder, a control plane and a worker make a cluster ${families.what}${missing}`,
    ignore: !isThere,
    fn: () => makeCluster(families),
  });
}

async function makeCluster({ podSubnet, serviceSubnet, clusterIp, hasIpv4 }: Families): Promise<void> {
  await using tpms = new AsyncDisposableStack();
  const [one, two, three] = await Promise.all([1, 2, 3].map(async () => tpms.use(await startSwtpm())));
  assert(one !== undefined && two !== undefined && three !== undefined);
  const identities = await Promise.all([one, two, three].map(identityOf));
  await using world = await RunWorld.create();
  const operator = await RunOperator.create(world, policyOf(identities, identities.slice(0, 2)));
  const settings = { kubernetesVersion: "v1.36.3", podSubnet, serviceSubnet, kubeProxy: false, coreDns: false };
  await operator.laptop.write("/etc/bootstrapper/operator/cluster.yaml", JSON.stringify(settings));
  const { ip } = await world.world.node("cp-1");
  const joinEndpoints = [hasIpv4 ? `${ip}:9444` : "[fd00:77::11]:9444"];
  const networks = [...(hasIpv4 ? [`${ip.replace(/\d+$/, "0")}/24`] : []), "fd00:77::/64"];
  const machine = async (name: string, own: string, options: MachineOptions) => {
    await address(await world.world.node(name), own, hasIpv4);
    const made = await world.machine(name, operator.publicKey, options);
    return { machine: made, addresses: [...(hasIpv4 ? [made.node.ip] : []), own] };
  };
  const first = await machine("cp-1", "fd00:77::11", {
    ...{ init: true, tpm: one.socketPath, address: [...(hasIpv4 ? [ip] : []), "fd00:77::11"].join() },
  });
  const second = await machine("cp-2", "fd00:77::12", {
    ...{ init: false, joinEndpoints, role: "control-plane", tpm: two.socketPath, addressFrom: networks.join() },
  });
  const worker = await machine("worker-1", "fd00:77::21", {
    ...{ init: false, joinEndpoints, nodeName: WORKER, tpm: three.socketPath, addressFrom: networks.join() },
  });
  await address(operator.laptop, "fd00:77::5", hasIpv4);

  const running = first.machine.start();
  await running.event({ event: "init-server-listening" });
  const init = operator.init(first.machine, ["--wait", "2m"], hasIpv4 ? ip : "[fd00:77::11]");
  assert.equal(await init.exitCode(), 0, await init.output());
  assert.equal(await running.exitCode(), 0, await running.output());
  for (const { machine } of [second, worker]) {
    const joining = machine.start();
    assert.equal(await joining.exitCode(), 0, await joining.output());
  }

  const kubectl = async (...argv: readonly string[]) => {
    const all = ["kubectl", `--kubeconfig=${operator.clusterFolder}/kubeconfig`, ...argv] as const;
    const { code, output } = await operator.laptop.run(all);
    assert.equal(code, 0, output);
    return output;
  };
  const get = async <T>(schema: v.GenericSchema<unknown, T>, ...argv: readonly string[]): Promise<T> =>
    v.parse(schema, JSON.parse(await kubectl("get", "--output=json", ...argv)));
  for (const [name, { machine, addresses }] of [["cp-1", first], ["cp-2", second], [WORKER, worker]] as const) {
    const { status } = await get(nodeSchema, "node", name);
    const internal = status.addresses.filter(({ type }) => type === "InternalIP").map(({ address }) => address);
    assert.deepEqual(internal, addresses);
    assert.deepEqual(await certifiedAddresses(machine), addresses);
  }
  const config = await get(configSchema, "configmap", "kubeadm-config", "--namespace=kube-system");
  const { networking } = parse(config.data.ClusterConfiguration);
  assert.deepEqual(networking, { dnsDomain: "cluster.local", podSubnet, serviceSubnet });
  assert.equal((await get(serviceSchema, "service", "kubernetes")).spec.clusterIP, clusterIp);
  assert.deepEqual(
    await peersOf(first.machine, first.addresses[0] ?? ""),
    [first, second].map(({ addresses: [own = ""] }) => peerUrl(own)),
  );
}

function peerUrl(address: string): string {
  return `https://${address.includes(":") ? `[${address}]` : address}:2380`;
}

/** The URLs at which etcd's members reach each other. */
async function peersOf({ node }: RunMachine, own: string): Promise<readonly string[]> {
  const pki = "/etc/kubernetes/pki";
  const { code, output } = await node.run([
    ...["etcdctl", `--endpoints=https://${ownEtcd(own)}`, `--cacert=${pki}/etcd/ca.crt`] as const,
    ...[`--cert=${pki}/apiserver-etcd-client.crt`, `--key=${pki}/apiserver-etcd-client.key`],
    ...["member", "list", "--write-out=json"],
  ]);
  assert.equal(code, 0, output);
  return v.parse(membersSchema, JSON.parse(output)).members.flatMap(({ peerURLs }) => peerURLs).sort();
}

/** The addresses in the certificate with which a node's kubelet serves. */
async function certifiedAddresses({ node }: RunMachine): Promise<readonly string[]> {
  const certificate = await readNodeCertificate({ kubelet: node.path("/var/lib/kubelet") }, "serving");
  assert(certificate !== undefined);
  return (subjectAltName(certificate) ?? []).flatMap((name) => name.type === "ip" ? addressText(name.value) : []);
}
