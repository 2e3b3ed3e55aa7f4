/**
 * A stand-in for the kubelet, for tests without VMs. It is not a kubelet, and proves nothing about one.
 *
 * It waits for `/var/lib/kubelet/config.yaml`, runs each static Pod's command as a process, and restarts the process
 * when it ends. It answers `127.0.0.1:10248/healthz`. It registers its Node with the credentials in `kubelet.conf`, which
 * it reads again each time, keeps it Ready, and mirrors its static Pods in the API. It requests no certificate. On port
 * 10250 it serves TLS with `tlsCertFile` and `tlsPrivateKeyFile` of its configuration, which it reads again when they
 * change, and answers a request for a container's log with one line.
 *
 * @module
 */
import * as v from "valibot";
import { parse } from "yaml";
import { KubernetesApi } from "../kubernetes/api.ts";
import { readKubeconfig } from "../kubernetes/kubeconfig.ts";
import { mirrorStaticPods } from "./_mirror_pods.ts";

const CONFIG = "/var/lib/kubelet/config.yaml";
const FLAGS = "/var/lib/kubelet/kubeadm-flags.env";
const MANIFESTS = "/etc/kubernetes/manifests";
const KUBECONFIG = "/etc/kubernetes/kubelet.conf";
const HEALTHZ_PORT = 10248;
const KUBELET_PORT = 10250;
const LOG_LINE = "a line of the stand-in\n";
const POLL_MS = 200;
const HEARTBEAT_MS = 5_000;
const MIRROR_MS = 1_000;
/** The grace period of kubeadm's static Pods, which is the API's default. */
const GRACE_PERIOD_MS = 30_000;

const log = (text: string) => Deno.stderr.writeSync(new TextEncoder().encode(`${new Date().toISOString()} ${text}\n`));
const sleep = (ms: number) => new Promise<void>((done) => setTimeout(done, ms));

async function until<T>(look: () => Promise<T | undefined>): Promise<T> {
  for (;;) {
    try {
      const found = await look();
      if (found !== undefined) return found;
    } catch (error) {
      log(String(error));
    }
    await sleep(POLL_MS);
  }
}

async function exists(path: string): Promise<boolean> {
  return (await Deno.stat(path).catch(() => undefined)) !== undefined;
}

const podSchema = v.object({
  spec: v.object({ containers: v.tuple([v.object({ command: v.tupleWithRest([v.string()], v.string()) })]) }),
});

/** Reads the static Pods' manifests, by file name. The result is empty while a manifest is being written. */
async function readManifests(): Promise<Map<string, string>> {
  const manifests = new Map<string, string>();
  for await (const { name } of Deno.readDir(MANIFESTS)) {
    if (!name.endsWith(".yaml")) continue;
    const text = await Deno.readTextFile(`${MANIFESTS}/${name}`);
    manifests.set(name, text.endsWith("\nstatus: {}\n") ? text : "");
  }
  return manifests;
}

/** A static Pod's process. */
interface StaticPod {
  readonly text: string;
  readonly child: Deno.ChildProcess;
  isEnding: boolean;
}

/**
 * Runs the Pods of the manifests. A process ends when its manifest changes or is removed. No Pod waits for another one
 * to end.
 */
class StaticPods {
  readonly #running = new Map<string, StaticPod>();

  async sync(): Promise<void> {
    const wanted = await readManifests();
    for (const [name, pod] of this.#running) {
      const text = wanted.get(name);
      if (text !== pod.text && text !== "") end(pod);
    }
    for (const [name, text] of wanted) if (!this.#running.has(name)) this.#start(name, text);
  }

  #start(name: string, text: string): void {
    const manifest = v.safeParse(podSchema, parse(text));
    if (!manifest.success) return;
    const [program, ...args] = manifest.output.spec.containers[0].command;
    const output = Deno.openSync(`/var/log/${name}.log`, { create: true, append: true });
    const child = new Deno.Command(program, { args, stdin: "null", stdout: "piped", stderr: "piped" }).spawn();
    log(`started ${program} as ${child.pid}`);
    const copy = async (stream: ReadableStream<Uint8Array>) => {
      for await (const chunk of stream) output.writeSync(chunk);
    };
    this.#running.set(name, { text, child, isEnding: false });
    Promise.all([child.status, copy(child.stdout), copy(child.stderr)]).then(([status]) => {
      output.close();
      log(`${program} ended with ${status.code}`);
      this.#running.delete(name);
    });
  }
}

/** Kills a process that has not ended after its grace period, as the kubelet does. */
function end(pod: StaticPod): void {
  if (pod.isEnding) return;
  pod.isEnding = true;
  pod.child.kill("SIGTERM");
  const timer = setTimeout(() => {
    log(`${pod.child.pid} does not end by itself`);
    pod.child.kill("SIGKILL");
  }, GRACE_PERIOD_MS);
  pod.child.status.then(() => clearTimeout(timer));
}

interface NodeFlags {
  readonly name: string;
  readonly ip: string;
}

async function nodeFlags(): Promise<NodeFlags> {
  const text = await Deno.readTextFile(FLAGS);
  const flag = (name: string) => new RegExp(`--${name}=([^\\s"]+)`).exec(text)?.[1];
  return { name: flag("hostname-override") ?? Deno.hostname(), ip: flag("node-ip") ?? "" };
}

const nodeSchema = v.object({ metadata: v.object({ name: v.string() }) });

function readyStatus(flags: NodeFlags): unknown {
  const now = new Date().toISOString().replace(/\.\d+/, "");
  return {
    addresses: [
      ...flags.ip.split(",").map((address) => ({ type: "InternalIP", address })),
      { type: "Hostname", address: flags.name },
    ],
    daemonEndpoints: { kubeletEndpoint: { Port: KUBELET_PORT } },
    conditions: [{
      ...{ type: "Ready", status: "True", reason: "KubeletStandIn", message: "a stand-in for the kubelet" },
      ...{ lastHeartbeatTime: now, lastTransitionTime: now },
    }],
    nodeInfo: {
      ...{ machineID: "", systemUUID: "", bootID: "", kernelVersion: "", osImage: "", architecture: "amd64" },
      ...{
        containerRuntimeVersion: "stand-in://1",
        kubeletVersion: "v1.36.3",
        kubeProxyVersion: "",
        operatingSystem: "linux",
      },
    },
  };
}

async function register(flags: NodeFlags): Promise<void> {
  using api = new KubernetesApi(await readKubeconfig(KUBECONFIG));
  const found = await api.find(`/api/v1/nodes/${flags.name}`, nodeSchema);
  if (found === undefined) {
    await api.create("/api/v1/nodes", {
      apiVersion: "v1",
      kind: "Node",
      metadata: { name: flags.name, labels: { "kubernetes.io/hostname": flags.name } },
    }, nodeSchema);
    log(`registered ${flags.name}`);
  }
  await api.merge(`/api/v1/nodes/${flags.name}/status`, { status: readyStatus(flags) }, nodeSchema);
}

async function keepReady(flags: NodeFlags): Promise<never> {
  for (;;) {
    try {
      await register(flags);
      await sleep(HEARTBEAT_MS);
    } catch (error) {
      log(`is not Ready: ${error instanceof Error ? error.message : error}`);
      await sleep(POLL_MS);
    }
  }
}

async function keepMirrored(flags: NodeFlags): Promise<never> {
  for (;; await sleep(MIRROR_MS)) {
    try {
      using api = new KubernetesApi(await readKubeconfig(KUBECONFIG));
      if (await exists(MANIFESTS)) await mirrorStaticPods(api, flags, await readManifests());
    } catch (error) {
      log(`does not mirror its Pods: ${error instanceof Error ? error.message : error}`);
    }
  }
}

const configSchema = v.object({ tlsCertFile: v.string(), tlsPrivateKeyFile: v.string() });

/** Serves with the certificate on disk. A new one replaces it: its modification time differs. */
async function keepServing(): Promise<never> {
  let server: Deno.HttpServer | undefined;
  let servedMs: number | undefined;
  for (;; await sleep(POLL_MS)) {
    try {
      const { tlsCertFile, tlsPrivateKeyFile } = v.parse(configSchema, parse(await Deno.readTextFile(CONFIG)));
      const changedMs = (await Deno.stat(tlsCertFile)).mtime?.getTime();
      if (changedMs === servedMs) continue;
      const credentials = {
        cert: await Deno.readTextFile(tlsCertFile),
        key: await Deno.readTextFile(tlsPrivateKeyFile),
      };
      await server?.shutdown();
      const onListen = () => log("serves with another certificate");
      server = Deno.serve({ hostname: "0.0.0.0", port: KUBELET_PORT, ...credentials, onListen }, answer);
      servedMs = changedMs;
    } catch (error) {
      log(`does not serve: ${error instanceof Error ? error.message : error}`);
    }
  }
}

function answer({ url }: Request): Response {
  const isLog = new URL(url).pathname.startsWith("/containerLogs/");
  return isLog ? new Response(LOG_LINE) : new Response("not in the stand-in", { status: 404 });
}

await until(async () => await exists(CONFIG) ? true : undefined);
Deno.serve({ hostname: "127.0.0.1", port: HEALTHZ_PORT, onListen: () => log("is healthy") }, () => new Response("ok"));
const pods = new StaticPods();
(async () => {
  for (;;) {
    if (await exists(MANIFESTS)) await pods.sync().catch((error) => log(String(error)));
    await sleep(POLL_MS);
  }
})();
const flags = await until(nodeFlags);
await until(async () => await exists(KUBECONFIG) ? true : undefined);
await Promise.all([keepReady(flags), keepMirrored(flags), keepServing()]);
