/**
 * *World × moment*: what goes wrong around a machine, before its lock and after it, on a founder and on a worker. For
 * each, what the operator hears, what `status` says, and how it ends. kubeadm, etcd and the API server are the real ones.
 * The test prints its table at the end.
 *
 * `run` and `init` have a proxy in their environment which never answers.
 */
import assert from "node:assert/strict";
import { stringify } from "yaml";
import type { CertificateAuthority } from "../../../certificate/ca.ts";
import { createCertificateAuthority, joinCertificateAuthority } from "../../../certificate/ca.ts";
import { generateKeyPair, privateKeyPem, readPrivateKeyPem } from "../../../certificate/keys.ts";
import { readPem, writePem } from "../../../certificate/pem.ts";
import { issueNodeCertificates } from "../../../certificate/testing/node_certificates.ts";
import { readCertificate } from "../../../certificate/x509.ts";
import { DENO_RUN } from "../../deno_run.ts";
import { waitUntil } from "../../e2e/wait_until.ts";
import { repositoryRoot } from "../../world.ts";
import type { NodeProcess, WorldNode } from "../../world_node.ts";
import { type RunMachine, RunWorld } from "./run_machine.ts";
import { RunOperator } from "./run_operator.ts";
import { BOOTSTRAPPER, type BootstrapperProcess, type EventPattern, PATIENCE_MS } from "./run_process.ts";

/** The name of the cluster's endpoint. It has no address until the test gives it one. */
const ENDPOINT = "api.example.internal";
/** The name of the first control plane among the join endpoints. */
const SERVICE = "first.example.internal";
/** In the network for documentation (RFC 5737): nothing answers. */
const DEAD_PROXY = "http://192.0.2.1:3128";
const PROXIES = ["HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"];
const MODE = "/etc/bootstrapper/mode";
const CERTIFICATES = "/etc/bootstrapper/certificates";
/** Longer than the time in which an API server gives up a request to etcd. */
const ETCD_STOPS_MS = 45_000;
/** Longer than the pause between two tries of an operator who waits. */
const SETTLES_MS = 5_000;

/** A row of the table. */
interface Row {
  readonly world: string;
  readonly moment: string;
  readonly heard: string;
  readonly status: string;
  readonly ends: string;
}

/** The parts of the status that a row shows. */
interface Status {
  readonly phase?: string;
  readonly step?: string;
  readonly waitsFor?: string;
  readonly error?: { readonly message: string };
  readonly lastRefusal?: { readonly message: string };
}

const rows: Row[] = [];

Deno.test("whatever goes wrong around a machine, it is said, and what time mends goes on by itself", async (t) => {
  await using world = await RunWorld.create();
  const step = async (title: string, work: () => Promise<void>) => {
    if (!await t.step(title, work)) throw new Error(`Cannot go on after "${title}"; logs are in ${world.world.logs}`);
  };
  const operator = await RunOperator.create(world);
  await settle(operator);
  const balancer = await LoadBalancer.create(await world.world.node("balancer"));
  const first = await world.machine("cp-1", operator.publicKey, { init: true });
  const all = [first.node, operator.laptop];
  const founder = `${first.node.ip} ${SERVICE}`;

  await beforeTheLock(step, first, operator);

  const running = proxied(() => first.start());
  await running.event({ event: "init-server-listening" });
  const init = proxied(() => operator.init(first, ["--wait", "10m"]));
  await step("etcd stands still while the operator's access is made", async () => {
    await init.event({ event: "progress", phase: "access", state: "started" });
    await first.shell("pkill -STOP -x etcd");
    const heard = await says(init, { event: "progress", phase: "access", state: "waiting" });
    await row(
      first,
      { world: "etcd stands still", moment: "init, locked", heard, ends: "tried again" },
      /^initialising: another try of the step access/,
    );
  });

  await step("the API server is silent while the operator's access is made", async () => {
    const tries = async () => (await init.events()).filter(({ state }) => state === "waiting").length;
    const before = await tries();
    await first.shell("pkill -STOP -x kube-apiserver; pkill -CONT -x etcd");
    await until("another failed try", async () => await tries() > before);
    const heard = await says(init, { event: "progress", phase: "access", state: "waiting" });
    await row(
      first,
      { world: "API server silent", moment: "init, locked", heard, ends: "tried again" },
      /^initialising: another try of the step access/,
    );
    await first.shell("pkill -CONT -x kube-apiserver");
  });

  await step("the endpoint's name is unknown to all: the founding needs no load balancer", async () => {
    await init.event({ event: "waiting", node: "cp-1" });
    const heard = await says(init, { event: "api-server-unreachable" });
    await row(first, { world: "DNS late", moment: "init, founded", heard, ends: "waits until Ready" }, /^member$/);
  });

  await step("the name is there, and no load balancer listens", async () => {
    await hosts(all, [`${balancer.ip} ${ENDPOINT}`, founder]);
    await sleep(SETTLES_MS);
    const heard = await says(init, { event: "api-server-unreachable" });
    await row(
      first,
      { world: "load balancer late", moment: "init, founded", heard, ends: "waits until Ready" },
      /^member$/,
    );
  });

  await step("the load balancer leads to another server", async () => {
    await balancer.set("wrong");
    balancer.start();
    const heard = await says(init, { event: "api-server-unreachable", code: "unavailable/kubernetes-api-tls" });
    await row(
      first,
      { world: "load balancer wrong", moment: "init, founded", heard, ends: "waits until Ready" },
      /^member$/,
    );
  });

  await step("the load balancer does not lead a server's calls back to itself: founded, and Ready", async () => {
    await balancer.set(`no-hairpin ${first.node.ip}`);
    assert.equal(await init.exitCode(), 0, await init.output());
    assert.equal(await running.exitCode(), 0, await running.output());
    await row(
      first,
      { world: "load balancer without hairpin", moment: "init", heard: "founded", ends: "exit 0" },
      /^member$/,
    );
  });

  await balancer.certify(first);
  const worker = await world.machine("worker-1", operator.publicKey, { init: false, joinAt: ["cp-1"] });
  await worker.shell(`sed -i 's/${first.node.ip}:/${SERVICE}:/' /etc/bootstrapper/config.yaml`);
  const joining = proxied(() => worker.start());
  await step("a worker does not know the join service's name", async () => {
    const { code } = await joining.event({ event: "join-endpoint-unreachable" });
    await row(
      worker,
      { world: "DNS late", moment: "join, no ticket", heard: String(code), ends: "tried again" },
      /^racing: a ticket from /,
    );
  });

  await step("etcd stands still when the worker asks for a ticket", async () => {
    await first.shell("pkill -STOP -x etcd");
    await hosts([worker.node], [`${balancer.ip} ${ENDPOINT}`, founder]);
    await sleep(ETCD_STOPS_MS);
    await row(
      worker,
      { world: "etcd stands still", moment: "join, ticket", heard: "-", ends: "member" },
      /^racing: a ticket from /,
    );
    assert.equal(await worker.file("/var/lib/bootstrapper/node.lock"), undefined);
    await balancer.set("silent");
    await first.shell("pkill -CONT -x etcd");
  });

  const stillFresh = async () => assert.equal(await worker.file("/var/lib/bootstrapper/node.lock"), undefined);
  await step("the load balancer leads to nobody: the worker finds out before its lock", async () => {
    const told = { world: "API server silent", moment: "join, ticket", heard: "-", ends: "tried again, fresh" };
    await row(worker, told, /^racing: .*cluster-info ConfigMap after timeout/);
    await stillFresh();
  });

  await step("nothing listens at the cluster's endpoint: the worker finds out before its lock", async () => {
    await balancer.stop();
    const told = { world: "API server down", moment: "join, ticket", heard: "-", ends: "tried again, fresh" };
    await row(worker, told, /^racing: .*connection refused/);
    await stillFresh();
  });

  await step("the API server says that etcd timed out: the worker finds out before its lock", async () => {
    await balancer.set("errors");
    balancer.start();
    const told = {
      world: "API server answers with 500",
      moment: "join, ticket",
      heard: "-",
      ends: "tried again, fresh",
    };
    await row(worker, told, /^racing: .*etcdserver: request timed out/);
    await stillFresh();
  });

  await step("the API server says that etcd timed out while the locked worker's kubeadm joins", async () => {
    await balancer.set(`pass ${first.node.ip}`);
    await joining.event({ event: "phase-started", phase: "kubeadm-join" });
    await worker.shell("until pkill -STOP -x kubeadm; do sleep 0.01; done");
    await balancer.stop();
    await balancer.set("errors");
    balancer.start();
    await worker.shell("pkill -CONT -x kubeadm");
    const told = { world: "API server answers with 500", moment: "join, locked", heard: "-", ends: "tried again" };
    await row(worker, told, /^joining: kubeadm-join: .*(?:etcdserver: request timed out|connection refused|EOF)/);
    assert.notEqual(await worker.file("/var/lib/bootstrapper/node.lock"), undefined);
  });

  await step("the API server takes 30 s for each answer while the locked worker's kubeadm joins", async () => {
    await balancer.set(`slow ${first.node.ip}`);
    await until("an answer of the slow API server", () => balancer.wasSlow());
    const told = { world: "API server slow (30 s)", moment: "join, locked", heard: "-", ends: "tried again, member" };
    // kubeadm waits 10 s for this answer.
    await row(worker, told, /^joining: kubeadm-join: .*cluster-info ConfigMap after timeout/);
    await balancer.set(`pass ${first.node.ip}`);
    assert.equal(await joining.exitCode(), 0, await joining.output());
    assert.deepEqual(await operator.nodes(), ["node/cp-1", "node/worker-1"]);
  });

  await step("a member whose address has changed is a member", async () => {
    const moved = worker.node.ip.replace(/\d+$/, "200");
    await worker.shell(`ip addr add ${moved}/24 dev eth0; ip addr del ${worker.node.ip}/24 dev eth0`);
    const again = worker.start();
    assert.equal(await again.exitCode(), 0, await again.output());
    await row(worker, { world: "address moved", moment: "member", heard: "-", ends: "exit 0" }, /^member$/);
  });

  Deno.stdout.writeSync(new TextEncoder().encode(`${tableOf(rows)}\n`));
});

type Step = (title: string, work: () => Promise<void>) => Promise<void>;

/** What is found out before the lock: the machine stays fresh, and the same call works when it is mended. */
async function beforeTheLock(step: Step, first: RunMachine, operator: RunOperator): Promise<void> {
  const refused = async (
    world: string,
    expected: RegExp,
    spoil: () => Promise<void>,
    mend: () => Promise<void>,
  ) => {
    await step(`before the lock: ${world}`, async () => {
      await spoil();
      const running = proxied(() => first.start());
      await running.event({ event: "init-server-listening" });
      const init = proxied(() => operator.anew(world.replaceAll(/\W+/g, "-")).init(first));
      const code = await init.exitCode();
      const output = await init.output();
      assert.match(output, expected);
      assert.equal(await first.file("/var/lib/bootstrapper/node.lock"), undefined);
      const [heard = ""] = expected.exec(output) ?? [];
      await row(
        first,
        { world, moment: "init, fresh", heard, ends: `exit ${code}, stays fresh` },
        /^racing: an operator's init/,
      );
      assert.equal(await running.kill("SIGTERM"), 0, await running.output());
      await mend();
    });
  };
  const shell = (script: string) => () => first.shell(script);
  await refused(
    "swap is on",
    /swap is on \(\/swap\.img\)/,
    shell(
      "printf 'Filename Type Size Used Priority\\n/swap.img file 4194300 0 -2\\n' >/run/swaps; mount --bind /run/swaps /proc/swaps",
    ),
    shell("umount /proc/swaps"),
  );
  await refused(
    "another pause image",
    /containerd starts each Pod with the image example\.internal\/pause:1/,
    shell(
      "mkdir -p /etc/containerd; mount -t tmpfs none /etc/containerd; " +
        "printf \"version = 3\\n[plugins.'io.containerd.cri.v1.images'.pinned_images]\\nsandbox = 'example.internal/pause:1'\\n\" >/etc/containerd/config.toml",
    ),
    shell("umount /etc/containerd"),
  );
  await refused(
    "port 6443 taken",
    /port 6443 is in use by another program/,
    shell("setsid python3 -m http.server 6443 >/dev/null 2>&1 & echo $! >/run/taken; sleep 2"),
    shell("kill $(cat /run/taken)"),
  );
  await refused(
    "node in the Services' network",
    /the node's address \S+ is in serviceSubnet \S+, the network of the Services/,
    () => settle(operator, { serviceSubnet: `${first.node.ip.replace(/\d+\.\d+$/, "0.0")}/16` }),
    () => settle(operator),
  );
}

/** Writes the operator's settings of the cluster. */
async function settle({ laptop }: RunOperator, more: Readonly<Record<string, string>> = {}): Promise<void> {
  const settings = {
    kubernetesVersion: "v1.36.3",
    podSubnet: "10.244.0.0/16",
    kubeProxy: false,
    coreDns: false,
    controlPlaneEndpoint: `${ENDPOINT}:6443`,
    // So that kubeadm gives up soon enough for a test.
    timeouts: { discovery: "40s", kubernetesAPICall: "40s" },
    ...more,
  };
  await laptop.write("/etc/bootstrapper/operator/cluster.yaml", stringify(settings));
}

/** The reason that the operator hears last in an event, which is awaited. */
async function says(init: BootstrapperProcess, pattern: EventPattern): Promise<string> {
  await init.event(pattern);
  const name = pattern["event"];
  const last = (await init.events()).findLast(({ event, state }) => event === name && state === pattern["state"]);
  return String(last?.["detail"] ?? last?.["reason"]);
}

/** What `status` says. */
async function statusOf({ node }: RunMachine): Promise<Status> {
  const { code, output } = await node.run([...BOOTSTRAPPER, "status", "--output", "json"]);
  assert.equal(code, 0, output);
  const { status } = JSON.parse(output.split("\n").find((line) => line.startsWith("{")) ?? "{}");
  return status ?? {};
}

/** Adds a row with what `status` says, which is like `shown` at once, or comes to that as tries fail. */
async function row(machine: RunMachine, told: Omit<Row, "status">, shown: RegExp): Promise<void> {
  let status = "";
  await until(`status like ${shown}`, async () => {
    const { phase, step, waitsFor, error, lastRefusal } = await statusOf(machine);
    const at = phase === "joining" ? step : waitsFor;
    status = [phase, at, (error ?? lastRefusal)?.message].filter((part) => part !== undefined).join(": ");
    return shown.test(status);
  });
  rows.push({ ...told, status });
}

async function until(what: string, holds: () => Promise<boolean>): Promise<void> {
  await waitUntil({ what, deadlineMs: PATIENCE_MS, everyMs: 2_000 }, holds);
}

/** Gives names to addresses on machines; there is no DNS server. */
async function hosts(nodes: readonly WorldNode[], lines: readonly string[]): Promise<void> {
  for (const node of nodes) {
    const { code, output } = await node.run(["sh", "-c", `printf '%s\\n' "$@" >>/etc/hosts`, "sh", ...lines]);
    assert.equal(code, 0, output);
  }
}

/** The load balancer of `_load_balancer.ts` on a machine of its own. */
class LoadBalancer {
  #running: NodeProcess | undefined;

  private constructor(readonly node: WorldNode) {}

  static async create(node: WorldNode): Promise<LoadBalancer> {
    const ca = await createCertificateAuthority(new Date());
    const balancer = new LoadBalancer(node);
    await balancer.#certify("stranger", ca, "stranger");
    return balancer;
  }

  /** Gives it a certificate for the cluster's endpoint, by the CA on the cluster's founder. */
  async certify(founder: RunMachine): Promise<void> {
    const pki = (name: string) => founder.node.read(`/etc/kubernetes/pki/${name}`);
    const keys = await readPrivateKeyPem(await pki("ca.key"), "ca.key");
    const certificate = readCertificate(readPem(await pki("ca.crt"), "CERTIFICATE", "ca.crt"), "ca.crt");
    await this.#certify("cluster", joinCertificateAuthority(certificate, keys), ENDPOINT);
  }

  async #certify(name: string, ca: CertificateAuthority, nodeName: string): Promise<void> {
    const keys = await generateKeyPair("p-256");
    const { serving } = await issueNodeCertificates(ca, {
      ...{ nodeName, addresses: [this.ip], epoch: 1, lifetimeMs: 3_600_000 },
      ...{ clientKey: keys.spki, servingKey: keys.spki },
    }, new Date());
    await this.node.write(`${CERTIFICATES}/${name}.crt`, writePem("CERTIFICATE", serving.der));
    await this.node.write(`${CERTIFICATES}/${name}.key`, await privateKeyPem(keys));
  }

  get ip(): string {
    return this.node.ip;
  }

  set(mode: string): Promise<void> {
    return this.node.write(MODE, mode);
  }

  start(): void {
    const program = `${repositoryRoot}/tests/integration/node/_load_balancer.ts`;
    this.#running ??= this.node.start([...DENO_RUN, program, MODE, CERTIFICATES], { log: "load-balancer" });
  }

  /** Whether an answer took as long as those of a slow API server do. */
  async wasSlow(): Promise<boolean> {
    return this.#running !== undefined && (await Deno.readTextFile(this.#running.log)).includes("slow answer");
  }

  async stop(): Promise<void> {
    await this.#running?.kill();
    await this.#running?.ended;
    this.#running = undefined;
  }
}

/** Starts a process with a proxy in its environment. */
function proxied<T>(start: () => T): T {
  const before = PROXIES.map((name) => Deno.env.get(name));
  for (const name of PROXIES) Deno.env.set(name, DEAD_PROXY);
  try {
    return start();
  } finally {
    for (const [index, name] of PROXIES.entries()) {
      const value = before[index];
      if (value === undefined) Deno.env.delete(name);
      else Deno.env.set(name, value);
    }
  }
}

function tableOf(table: readonly Row[]): string {
  const cell = (text: string) => text.replaceAll(/\s+/g, " ").replaceAll("|", "\\|").slice(0, 160);
  const lines = table.map((one) =>
    `| ${[one.world, one.moment, one.heard, one.status, one.ends].map(cell).join(" | ")} |`
  );
  const head = ["| world | moment | the operator hears | status | ends |", "| --- | --- | --- | --- | --- |"];
  return [...head, ...lines].join("\n");
}

function sleep(ms: number): Promise<void> {
  return new Promise((done) => setTimeout(done, ms));
}
