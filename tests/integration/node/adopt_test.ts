/** `bootstrapper adopt` on a cluster that plain kubeadm made, from its plan to the end of the cluster's own signer. */
import assert from "node:assert/strict";
import { parse, stringify } from "yaml";
import * as v from "valibot";
import { clusterIdOf, clusterIdText } from "../../../certificate/cluster_id.ts";
import { readPem } from "../../../certificate/pem.ts";
import { readCertificate } from "../../../certificate/x509.ts";
import { KubernetesApi } from "../../../kubernetes/api.ts";
import { readKubeconfig } from "../../../kubernetes/kubeconfig.ts";
import { NodeAdmissions } from "../../../kubernetes/node_admissions.ts";
import { ADOPTION_SEQUENCE } from "../../../node/adopted_control_plane.ts";
import { waitUntil } from "../../e2e/wait_until.ts";
import type { NodeCommandResult, WorldNode } from "../../world_node.ts";
import { kubeadmInit, kubeadmJoin } from "./_kubeadm_cluster.ts";
import type { RunMachine } from "./run_machine.ts";
import { RunWorld, writeUnit } from "./run_machine.ts";
import { RunOperator } from "./run_operator.ts";
import { BOOTSTRAPPER, BootstrapperProcess, PATIENCE_MS } from "./run_process.ts";

const CONFIGURATION = "/etc/bootstrapper/config.yaml";
const OPERATOR = "/etc/bootstrapper/operator";
const NAME = "test";
const DEADLINE_MS = 300_000;

function bootstrapper(node: WorldNode, args: readonly string[]): Promise<NodeCommandResult> {
  return node.run([...BOOTSTRAPPER, ...args], { log: args.slice(0, 2).join("-"), deadlineMs: DEADLINE_MS });
}

async function succeeds(node: WorldNode, args: readonly string[]): Promise<string> {
  const { code, output } = await bootstrapper(node, args);
  assert.equal(code, 0, output);
  return output;
}

/** The last line of the output, which is the result. */
function resultOf(output: string): Record<string, unknown> {
  return v.parse(v.record(v.string(), v.unknown()), JSON.parse(output.trim().split("\n").at(-1) ?? ""));
}

Deno.test("adopt gives a cluster of kubeadm signers and records, and its nodes prove themselves in place", async (t) => {
  await using world = await RunWorld.create();
  const step = async (title: string, work: () => Promise<void>) => {
    if (!await t.step(title, work)) throw new Error(`Cannot go on after "${title}"; logs are in ${world.world.logs}`);
  };
  const operator = await RunOperator.create(world);
  const { laptop } = operator;
  const machine = (name: string) => world.machine(name, operator.publicKey, { init: false, joinAt: ["cp-1"] });
  const controlPlane = await machine("cp-1");
  const [first, second] = [await machine("worker-1"), await machine("worker-2")];
  const workers = [first, second];
  let clusterId = "";

  await step("kubeadm makes a cluster of three nodes by itself", async () => {
    await kubeadmInit(controlPlane);
    for (const worker of workers) await kubeadmJoin(controlPlane, worker);
    assert.match(await controlPlane.node.read("/etc/kubernetes/pki/ca.key"), /BEGIN RSA PRIVATE KEY/);
    await laptop.write(`${OPERATOR}/admin.conf`, await controlPlane.node.read("/etc/kubernetes/admin.conf"));
    for (const one of [controlPlane, ...workers]) clusterId = await nameCluster(one);
  });

  using api = new KubernetesApi(await readKubeconfig(controlPlane.node.path("/etc/kubernetes/admin.conf")));
  const adopt = [
    ...["adopt", "cluster", "--kubeconfig", `${OPERATOR}/admin.conf`, "--name", NAME, "--output", "json"],
    ...["--policy", `${OPERATOR}/policy.yaml`, "--key", `${OPERATOR}/operator.key`, "--records", `${OPERATOR}/records`],
  ];

  await step("the plan names everything, and changes nothing", async () => {
    const plan = resultOf(await succeeds(laptop, [...adopt, "--plan"]));
    assert.equal(plan["clusterId"], clusterId);
    assert.equal(plan["caKeyType"], "rsa");
    const nodes = v.parse(
      v.array(v.looseObject({ name: v.string(), role: v.string(), state: v.string() })),
      plan["nodes"],
    );
    assert.deepEqual(nodes.map(({ name, role, state }) => [name, role, state]), [
      ["cp-1", "control-plane", "new"],
      ["worker-1", "worker", "new"],
      ["worker-2", "worker", "new"],
    ]);
    assert.equal(await api.find("/api/v1/namespaces/bootstrapper-system", v.unknown()), undefined);
    await assert.rejects(laptop.read(`${OPERATOR}/records/${NAME}.json`), Deno.errors.NotFound);
  });

  await step("nothing is done without an answer", async () => {
    const { code, output } = await bootstrapper(laptop, adopt);
    assert.notEqual(code, 0);
    assert.match(output, /usage\/no-terminal/);
    assert.equal(await api.find("/api/v1/namespaces/bootstrapper-system", v.unknown()), undefined);
  });

  await step("adopt cluster makes records that are not attested; it may be repeated", async () => {
    assert.deepEqual(resultOf(await succeeds(laptop, [...adopt, "--yes"]))["adopted"], [
      "cp-1",
      "worker-1",
      "worker-2",
    ]);
    assert.deepEqual(resultOf(await succeeds(laptop, [...adopt, "--yes"]))["adopted"], []);
    const shown = await succeeds(laptop, ["nodes", "--kubeconfig", `${OPERATOR}/admin.conf`, "--output", "json"]);
    const { nodes } = v.parse(
      v.object({ nodes: v.array(v.object({ nodeName: v.string(), state: v.string(), attestedAt: v.null() })) }),
      resultOf(shown),
    );
    assert.deepEqual(nodes.map(({ nodeName, state }) => [nodeName, state]), [
      ["cp-1", "Adopted"],
      ["worker-1", "Adopted"],
      ["worker-2", "Adopted"],
    ]);
  });

  await step("the kubelets' signer still works", () => signs(controlPlane, "while-adopting", true));

  await step("adopt here makes the control plane a signer", async () => {
    const plan = resultOf(await succeeds(controlPlane.node, ["adopt", "here", "--plan", "--output", "json"]));
    assert.match(String(plan["identity"]), /^[0-9a-f]{64}$/);
    await succeeds(controlPlane.node, ["adopt", "here", "--yes", "--output", "json"]);
    assert.equal(JSON.parse(await controlPlane.node.read("/var/lib/bootstrapper/node.lock")).owner, "join");
    await allReady(api, ["cp-1"]);
    const own = (await new NodeAdmissions(api).list()).find(({ record }) => record.nodeName === "cp-1");
    assert.equal(own?.name, plan["identity"]);
    // A second call finds everything done.
    await succeeds(controlPlane.node, ["adopt", "here", "--yes", "--output", "json"]);
  });

  await step("a worker is refused its own name until its operator has said which machine it is", async () => {
    await succeeds(first.node, ["adopt", "here", "--yes", "--output", "json"]);
    await waitUntil({ what: "a refusal of worker-1's name", deadlineMs: PATIENCE_MS, everyMs: 200 }, async () => {
      const status = await first.file("/var/lib/bootstrapper/status.json");
      return status !== undefined && JSON.parse(status).lastRefusal?.code === "conflict/node-name";
    });
    assert.equal(await first.file("/var/lib/bootstrapper/node.lock"), undefined);
  });

  await step("each worker proves itself in place", async () => {
    for (const worker of workers) {
      const { node } = worker;
      const { identity } = resultOf(await succeeds(node, ["adopt", "here", "--plan", "--output", "json"]));
      const named = ["adopt", "node", node.name, "--identity", String(identity)];
      await succeeds(laptop, [...named, "--kubeconfig", `${OPERATOR}/admin.conf`, "--output", "json"]);
      await succeeds(node, ["adopt", "here", "--yes", "--output", "json"]);
      await becomesMember(worker);
      const record = await new NodeAdmissions(api).find(String(identity));
      assert.equal(record?.record.nodeName, node.name);
      assert.notEqual(record?.record.attestedMs, undefined);
      assert.match(await node.read("/etc/kubernetes/kubelet.conf"), /bootstrapper-client\.pem/);
      assert.match(await node.read("/var/lib/kubelet/config.yaml"), /bootstrapper-serving\.pem/);
      if (worker === first) await isNotFinished(controlPlane, "worker-2");
    }
    const records = await new NodeAdmissions(api).list();
    assert.deepEqual(records.filter(({ record }) => record.adoptedMs !== undefined), []);
  });

  await step("a fresh machine joins the adopted cluster through the join service", async () => {
    const fresh = await machine("worker-3");
    const running = fresh.start();
    assert.equal(await running.exitCode(), 0, await running.output());
    const records = await new NodeAdmissions(api).list();
    assert.ok(records.some(({ record }) => record.nodeName === "worker-3" && record.attestedMs !== undefined));
  });

  await step("adopt finish ends the kubelets' signer, and all nodes stay Ready", async () => {
    await succeeds(controlPlane.node, ["adopt", "finish", "--yes", "--output", "json"]);
    const manifest = await controlPlane.node.read("/etc/kubernetes/manifests/kube-apiserver.yaml");
    assert.match(manifest, /--authorization-config=/);
    assert.doesNotMatch(manifest, /--authorization-mode=/);
    // The controller manager runs, and signs what is no kubelet's.
    await signs(controlPlane, "other-signer", true, "kubernetes.io/kube-apiserver-client");
    await signs(controlPlane, "finished", false);
    await allReady(api, ["cp-1", "worker-1", "worker-2", "worker-3"]);
  });
});

/** Names the machine's cluster in its configuration, and gives it the unit of `bootstrapper run`. */
async function nameCluster({ node }: RunMachine): Promise<string> {
  const caPem = await node.read("/etc/kubernetes/pki/ca.crt");
  const clusterId = clusterIdText(
    await clusterIdOf(readCertificate(readPem(caPem, "CERTIFICATE", "ca.crt"), "ca.crt")),
  );
  const { init: _, ...configuration } = parse(await node.read(CONFIGURATION));
  await node.write(CONFIGURATION, stringify({ ...configuration, trust: { ...configuration.trust, clusterId } }));
  await writeUnit(node, "bootstrapper", [...BOOTSTRAPPER, "run", "--config", CONFIGURATION]);
  return clusterId;
}

async function becomesMember({ node }: RunMachine): Promise<void> {
  await waitUntil({ what: `${node.name} as a member`, deadlineMs: PATIENCE_MS, everyMs: 200 }, async () => {
    const status = await node.read("/var/lib/bootstrapper/status.json").catch(() => "{}");
    return JSON.parse(status).phase === "member";
  });
}

async function isNotFinished({ node }: RunMachine, missing: string): Promise<void> {
  const { code, output } = await bootstrapper(node, ["adopt", "finish", "--yes", "--output", "json"]);
  assert.equal(code, 1, output);
  assert.match(output, /precondition\/adoption-unfinished/);
  assert.match(output, new RegExp(missing));
}

const KUBELET_SIGNER = "kubernetes.io/kube-apiserver-client-kubelet";

/** Asks for a certificate as the cluster's administrator, approves it, and checks whether the cluster signs it. */
async function signs({ node }: RunMachine, name: string, expected: boolean, signer = KUBELET_SIGNER): Promise<void> {
  const script = `
export KUBECONFIG=/etc/kubernetes/admin.conf
cd /run
openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout k.key \\
  -subj /O=system:nodes/CN=system:node:worker-1 -out k.csr 2>/dev/null
kubectl create -f - <<END
apiVersion: certificates.k8s.io/v1
kind: CertificateSigningRequest
metadata: { name: $1 }
spec:
  signerName: $2
  usages: [digital signature, client auth]
  request: $(base64 -w0 <k.csr)
END
kubectl certificate approve $1
tries=0
until [ -n "$(kubectl get csr $1 -o 'jsonpath={.status.certificate}')" ]; do
  tries=$((tries + 1))
  [ $tries -lt $3 ] || exit 9
  sleep 0.5
done
`;
  const { code, output } = await node.run(["sh", "-euc", script, "sh", name, signer, expected ? "120" : "20"]);
  assert.equal(code, expected ? 0 : 9, output);
}

const nodesSchema = v.object({
  items: v.array(v.object({
    metadata: v.object({ name: v.string() }),
    status: v.object({
      conditions: v.array(v.object({ type: v.string(), status: v.string(), lastHeartbeatTime: v.string() })),
    }),
  })),
});

/** Waits until each node has said that it is Ready since now. */
async function allReady(api: KubernetesApi, names: readonly string[]): Promise<void> {
  const sinceMs = Date.now();
  await waitUntil({ what: `Ready ${names.join()}`, deadlineMs: PATIENCE_MS, everyMs: 500 }, async () => {
    const { items } = await api.get("/api/v1/nodes", nodesSchema).catch(() => ({ items: [] }));
    const ready = items.filter(({ status: { conditions } }) =>
      conditions.some(({ type, status, lastHeartbeatTime }) =>
        type === "Ready" && status === "True" && Date.parse(lastHeartbeatTime) >= sinceMs
      )
    );
    return names.every((name) => ready.some(({ metadata }) => metadata.name === name));
  });
}

Deno.test("adopt here goes on after kill -9 at each of its steps", async () => {
  await using world = await RunWorld.create();
  const operator = await RunOperator.create(world);
  const { laptop } = operator;
  const controlPlane = await world.machine("cp-1", operator.publicKey, {
    init: false,
    joinEndpoints: ["192.0.2.1:9444"],
  });
  const { node } = controlPlane;
  await kubeadmInit(controlPlane);
  await nameCluster(controlPlane);
  await laptop.write(`${OPERATOR}/admin.conf`, await node.read("/etc/kubernetes/admin.conf"));
  await succeeds(laptop, [
    ...["adopt", "cluster", "--kubeconfig", `${OPERATOR}/admin.conf`, "--name", NAME, "--yes", "--output", "json"],
    ...["--policy", `${OPERATOR}/policy.yaml`, "--key", `${OPERATOR}/operator.key`, "--records", `${OPERATOR}/records`],
  ]);
  const args = ["adopt", "here", "--yes"];
  const killed: string[] = [];
  for (const name of Object.keys(ADOPTION_SEQUENCE)) {
    const running = BootstrapperProcess.start(node, args, `killed-at-${name}`);
    await waitUntil({ what: `the step ${name} under way`, deadlineMs: PATIENCE_MS, everyMs: 5 }, async () => {
      const journal = await node.read("/var/lib/bootstrapper/adoption.journal").catch(() => "");
      return journal.includes(`"${name}"`) || running.isOver;
    });
    if (!running.isOver) killed.push(name);
    await running.kill();
  }
  assert.ok(killed.length >= 3, `killed at ${killed.join()}`);
  await succeeds(node, args);
  assert.equal(JSON.parse(await node.read("/var/lib/bootstrapper/node.lock")).owner, "join");
  assert.match(await node.read("/etc/kubernetes/kubelet.conf"), /bootstrapper-client\.pem/);
  using api = new KubernetesApi(await readKubeconfig(node.path("/etc/kubernetes/admin.conf")));
  await allReady(api, ["cp-1"]);
  const records = (await new NodeAdmissions(api).list()).filter(({ record }) => record.nodeName === "cp-1");
  assert.deepEqual(records.map(({ record }) => record.adoptedMs), [undefined]);
  const left = [...Deno.readDirSync(node.path("/etc/kubernetes/pki"))].map((entry) => entry.name);
  assert.deepEqual(left.filter((name) => name.startsWith(".")), []);
});
