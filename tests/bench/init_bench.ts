import * as v from "valibot";
import { stringify } from "yaml";
import { AUTHORIZATION_FILE, AUTHORIZATION_FOLDER } from "../../kubernetes/authorization_configuration.ts";
import { initDocuments } from "../../kubernetes/documents.ts";
import { testSettings } from "../integration/kubernetes/cluster.ts";
import { CLUSTER_NAME, RunWorld } from "../integration/node/run_machine.ts";
import { RunOperator } from "../integration/node/run_operator.ts";
import type { BenchPart } from "./bench_part.ts";
import type { Figure } from "./figures.ts";
import { measurePairs, millisecondsOf, pick } from "./pairs.ts";

/** The pairs by which the goal is judged. */
export const INIT_PAIRS = 7;

const DOCUMENTS = "/etc/bootstrapper/kubeadm.yaml";
/** The phases of an init before and after kubeadm; bare kubeadm does not have them. */
const PHASES = ["preflight", "certificates", "kubeadm-init", "access", "join-service", "kubelet"];
/** What the documents' `authorization-config` names: Kubernetes' own authorizers, as by default. */
const AUTHORIZATION = stringify({
  apiVersion: "apiserver.config.k8s.io/v1",
  kind: "AuthorizationConfiguration",
  authorizers: [{ type: "Node", name: "node" }, { type: "RBAC", name: "rbac" }],
});

const foundedSchema = v.object({ durationMs: v.number() });
const doneSchema = v.object({ phase: v.string(), durationMs: v.number() });

/** What one init took, milliseconds. */
interface Init {
  readonly wholeMs: number;
  readonly phasesMs: ReadonlyMap<string, number>;
}

/**
 * (a): compares `bootstrapper init` against a fresh machine of the world that runs `bootstrapper run` with
 * `kubeadm init` on another machine with the same documents, its own preflight and its own CA. The start of the
 * programs is not included.
 */
export const benchInit: BenchPart = async ({ rounds }) => {
  const pairs = await measurePairs(rounds, initialise, initialiseBare);
  const figure = (name: string, of: (init: Init) => number): Figure => ({
    ...{ name, baseline: "kubeadm init, bare", unit: "ms" },
    ...pick(pairs, of, (bareMs) => bareMs),
  });
  return [
    {
      ...figure("(a) bootstrapper init, whole", ({ wholeMs }) => wholeMs),
      goal: { of: "ratio", is: "at most", limit: 1.03, fewestPairs: INIT_PAIRS },
    },
    ...PHASES.map((phase) => figure(`(a)   ${phase}`, ({ phasesMs }) => phasesMs.get(phase) ?? NaN)),
  ];
};

async function initialise(): Promise<Init> {
  await using world = await RunWorld.create();
  const operator = await RunOperator.create(world);
  const machine = await world.machine("cp-1", operator.publicKey, { init: true });
  const running = machine.start();
  await running.event({ event: "init-server-listening" });
  const init = operator.init(machine, []);
  const { durationMs } = v.parse(foundedSchema, await init.event({ event: "founded" }));
  const phasesMs = new Map<string, number>();
  for (const event of await init.events()) {
    if (event["event"] !== "progress" || event["state"] !== "done") continue;
    const done = v.parse(doneSchema, event);
    phasesMs.set(done.phase, done.durationMs);
  }
  if (await running.exitCode() !== 0) throw new Error(`The machine is no member; logs are in ${world.world.logs}`);
  return { wholeMs: durationMs, phasesMs };
}

async function initialiseBare(): Promise<number> {
  await using world = await RunWorld.create();
  const { publicKey } = await RunOperator.create(world);
  const { node } = await world.machine("cp-1", publicKey, { init: true });
  const facts = { clusterName: CLUSTER_NAME, node: { name: node.name, address: node.ip } };
  await node.write(DOCUMENTS, initDocuments(testSettings, facts));
  await node.write(`${AUTHORIZATION_FOLDER}/${AUTHORIZATION_FILE}`, AUTHORIZATION);
  return await millisecondsOf(async () => {
    const { code, output } = await node.run(["kubeadm", "init", `--config=${DOCUMENTS}`]);
    if (code !== 0) throw new Error(`kubeadm init failed: ${output}`);
  });
}
