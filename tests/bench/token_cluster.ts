/**
 * Makes a cluster of this project take plain `kubeadm join` with a bootstrap token as well, as kubeadm's own clusters do,
 * so that both ways can be compared on the same API server.
 *
 * @module
 */
import { join } from "node:path";
import * as v from "valibot";
import { AUTHORIZATION_FILE, AUTHORIZATION_FOLDER } from "../../kubernetes/authorization_configuration.ts";
import { KubernetesApi } from "../../kubernetes/api.ts";
import { initDocuments } from "../../kubernetes/documents.ts";
import { waitUntil } from "../e2e/wait_until.ts";
import { KUBEADM_DEADLINE_MS, type TestCluster, testSettings } from "../integration/kubernetes/cluster.ts";
import type { WorldNode } from "../world_node.ts";
import { TOKEN_NODE_PREFIX } from "./kubeadm_calls.ts";

const DOCUMENTS = "/etc/bootstrapper/token.yaml";
const MANAGER_MANIFEST = "/etc/kubernetes/manifests/kube-controller-manager.yaml";
const ONLY_NODES = "'system:nodes' in request.groups";
/** The phases that a cluster of this project leaves out, and kube-proxy, whose configuration kubeadm reads. */
const PHASES = [["bootstrap-token"], ["addon", "kube-proxy"]];
const DEADLINE_MS = 120_000;
const POLL_MS = 200;
/** The standard ports are those of the control plane's own controller manager. */
const SIGNERS_PORT = 10357;
/** More than the nodes of a round need. */
const NO_LIMIT = ["--kube-api-qps=1000", "--kube-api-burst=2000"];

const clusterInfoSchema = v.object({ data: v.record(v.string(), v.string()) });

/** Prepares the cluster, and returns a bootstrap token. */
export async function admitTokens(cluster: TestCluster): Promise<string> {
  const { controlPlane: node, admin } = cluster;
  await letTokenNodesPass(node);
  await leaveRequestsToOthers(node);
  const token = `${randomText(6)}.${randomText(16)}`;
  const facts = { clusterName: "test", node: { name: node.name, address: node.ip } };
  const documents = initDocuments({ ...testSettings, kubeProxy: true }, facts);
  const init = "kind: InitConfiguration\n";
  await node.write(DOCUMENTS, documents.replace(init, `${init}bootstrapTokens:\n  - token: "${token}"\n`));
  for (const phase of PHASES) {
    const argv = ["kubeadm", "init", "phase", ...phase, `--config=${DOCUMENTS}`] as const;
    const { code, output } = await node.run([...argv], { deadlineMs: KUBEADM_DEADLINE_MS });
    if (code !== 0) throw new Error(`${argv.join(" ")} failed: ${output}`);
  }
  const wait = { deadlineMs: DEADLINE_MS, everyMs: POLL_MS };
  await waitUntil({ what: "cluster-info to be signed", ...wait }, async () => {
    const { data } = await admin.get("/api/v1/namespaces/kube-public/configmaps/cluster-info", clusterInfoSchema);
    return data[`jws-kubeconfig-${token.slice(0, 6)}`];
  });
  const name = `${TOKEN_NODE_PREFIX}probe`;
  using probe = new KubernetesApi(await cluster.credentials(`/O=system:nodes/CN=system:node:${name}`));
  await waitUntil({ what: "the API server to let nodes with a token pass", ...wait }, async () => {
    return await probe.find(`/api/v1/nodes/${name}`, v.unknown()).then(() => true, () => undefined);
  });
  return token;
}

/** A controller manager that approves and signs what kubelets request. */
export function startSigners(node: WorldNode, isLimited: boolean): AsyncDisposable {
  const process = node.start([
    ...["kube-controller-manager", "--controllers=csrapproving,csrsigning", "--leader-elect=false"] as const,
    ...["--kubeconfig=/etc/kubernetes/controller-manager.conf", "--use-service-account-credentials=true"],
    "--cluster-signing-cert-file=/etc/kubernetes/pki/ca.crt",
    "--cluster-signing-key-file=/etc/kubernetes/pki/ca.key",
    ...["--bind-address=127.0.0.1", `--secure-port=${SIGNERS_PORT}`],
    ...(isLimited ? [] : NO_LIMIT),
  ]);
  let isOver = false;
  process.ended.then(() => isOver = true);
  return {
    async [Symbol.asyncDispose]() {
      if (isOver) throw new Error(`The controller manager has ended; its log is ${process.log}`);
      await process.kill();
      await process.ended;
    },
  };
}

/** The cut list refuses certificates without an epoch. kubeadm's nodes have such ones. */
async function letTokenNodesPass(node: WorldNode): Promise<void> {
  const path = join(AUTHORIZATION_FOLDER, AUTHORIZATION_FILE);
  const isOther = `${ONLY_NODES} && !request.user.startsWith('system:node:${TOKEN_NODE_PREFIX}')`;
  await replaceIn(node, path, ONLY_NODES, isOther);
}

/** The control plane's controller manager approves nothing: {@linkcode startSigners} does. */
async function leaveRequestsToOthers(node: WorldNode): Promise<void> {
  const controllers = "--controllers=*,bootstrapsigner,tokencleaner";
  await replaceIn(node, MANAGER_MANIFEST, controllers, `${controllers},-csrapproving,-csrsigning`);
}

async function replaceIn(node: WorldNode, path: string, before: string, after: string): Promise<void> {
  const text = await node.read(path);
  if (!text.includes(before)) throw new Error(`${path} has no "${before}": ${text}`);
  await node.write(`${path}.new`, text.replace(before, after));
  await Deno.rename(node.path(`${path}.new`), node.path(path));
}

/** Lower-case hexadecimal digits. */
function randomText(length: number): string {
  return crypto.randomUUID().replaceAll("-", "").slice(0, length);
}
