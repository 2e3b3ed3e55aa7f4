/**
 * A cluster of both IP families: a founder and a worker with two addresses each, and the worker with a name of several
 * parts. kubeadm, etcd and the API server are the real ones.
 */
import assert from "node:assert/strict";
import * as v from "valibot";
import { parse } from "yaml";
import { subjectAltName } from "../../../certificate/extensions.ts";
import { addressText } from "../../../platform/ip_address.ts";
import { readNodeCertificate } from "../../../kubernetes/kubelet_credentials.ts";
import type { RunMachine } from "./run_machine.ts";
import { RunWorld } from "./run_machine.ts";
import { RunOperator } from "./run_operator.ts";

const SETTINGS = "{kubernetesVersion: v1.36.3, podSubnet: '10.244.0.0/16,fd00:244::/56', " +
  "serviceSubnet: '10.96.0.0/16,fd00:96::/112', kubeProxy: false, coreDns: false}\n";
const NETWORK = "fd00:77::/64";
const WORKER = "worker-1.example.internal";

const nodeSchema = v.object({
  status: v.object({ addresses: v.array(v.object({ type: v.string(), address: v.string() })) }),
});
const serviceSchema = v.object({ spec: v.object({ clusterIP: v.string() }) });
const configSchema = v.object({ data: v.object({ ClusterConfiguration: v.string() }) });

Deno.test("a founder and a worker have an address of each family, in a cluster of both", async () => {
  await using world = await RunWorld.create();
  const operator = await RunOperator.create(world);
  await operator.laptop.write("/etc/bootstrapper/operator/cluster.yaml", SETTINGS);
  const ip = (await world.world.node("cp-1")).ip;
  const first = await world.machine("cp-1", operator.publicKey, { init: true, address: `${ip},fd00:77::11` });
  const worker = await world.machine("worker-1", operator.publicKey, {
    ...{ init: false, joinAt: ["cp-1"], nodeName: WORKER, addressFrom: `${ip.replace(/\d+$/, "0")}/24,${NETWORK}` },
  });
  for (const [machine, address] of [[first, "fd00:77::11"], [worker, "fd00:77::21"]] as const) {
    await machine.shell(
      `ip -6 addr add ${address}/64 dev eth0 nodad; ` +
        "for which in all default; do echo 1 >/proc/sys/net/ipv6/conf/$which/forwarding; done",
    );
  }

  const running = first.start();
  await running.event({ event: "init-server-listening" });
  const init = operator.init(first);
  assert.equal(await init.exitCode(), 0, await init.output());
  assert.equal(await running.exitCode(), 0, await running.output());
  const joining = worker.start();
  assert.equal(await joining.exitCode(), 0, await joining.output());

  const get = async <T>(what: readonly string[], schema: v.GenericSchema<unknown, T>): Promise<T> => {
    const argv = ["kubectl", `--kubeconfig=${operator.clusterFolder}/kubeconfig`, "get", "--output=json"] as const;
    const { code, output } = await operator.laptop.run([...argv, ...what]);
    assert.equal(code, 0, output);
    return v.parse(schema, JSON.parse(output));
  };
  const members = [["cp-1", first, "fd00:77::11"], [WORKER, worker, "fd00:77::21"]] as const;
  for (const [name, machine, second] of members) {
    const { ip } = machine.node;
    const { status: { addresses } } = await get(["node", name], nodeSchema);
    const internal = addresses.filter(({ type }) => type === "InternalIP").map(({ address }) => address);
    assert.deepEqual(internal, [ip, second]);
    assert.deepEqual(await certifiedAddresses(machine), [ip, second]);
  }
  const config = await get(["configmap", "kubeadm-config", "--namespace=kube-system"], configSchema);
  assert.deepEqual(parse(config.data.ClusterConfiguration).networking, {
    dnsDomain: "cluster.local",
    podSubnet: "10.244.0.0/16,fd00:244::/56",
    serviceSubnet: "10.96.0.0/16,fd00:96::/112",
  });
  assert.equal((await get(["service", "kubernetes"], serviceSchema)).spec.clusterIP, "10.96.0.1");
});

/** The addresses in the certificate with which a node's kubelet serves. */
async function certifiedAddresses({ node }: RunMachine): Promise<readonly string[]> {
  const certificate = await readNodeCertificate({ kubelet: node.path("/var/lib/kubelet") }, "serving");
  assert(certificate !== undefined);
  return (subjectAltName(certificate) ?? []).flatMap((name) => name.type === "ip" ? addressText(name.value) : []);
}
