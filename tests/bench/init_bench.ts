import * as v from "valibot";
import { initDocuments } from "../../kubernetes/documents.ts";
import { CLUSTER_NAME, RunWorld } from "../integration/node/run_machine.ts";
import { RunOperator } from "../integration/node/run_operator.ts";
import { testSettings } from "../integration/kubernetes/cluster.ts";
import { measurePair, millisecondsOf, type PairedTimes } from "./pairs.ts";

const REPETITIONS = 3;
const DOCUMENTS = "/etc/bootstrapper/kubeadm.yaml";
const BASELINE = "kubeadm init, bare";
/** The phases of an init before and after kubeadm; bare kubeadm does not have them. */
const PHASES = ["preflight", "certificates", "kubeadm-init", "access", "join-service", "kubelet"];

const foundedSchema = v.object({ durationMs: v.number() });
const doneSchema = v.object({ phase: v.string(), durationMs: v.number() });

/**
 * Compares `bootstrapper init` against a fresh machine of the world that runs `bootstrapper run` with `kubeadm init` on
 * another machine with the same documents, its own preflight and its own CA. The start of the programs is not included.
 */
export async function benchInit(): Promise<PairedTimes[]> {
  const phases = new Map<string, number[]>(PHASES.map((phase) => [phase, []]));
  const whole = await measurePair({
    name: "bootstrapper init, whole",
    baseline: BASELINE,
    repetitions: REPETITIONS,
    measure: () => initialise((phase, durationMs) => phases.get(phase)?.push(durationMs)),
    measureBaseline: initialiseBare,
  });
  const { baseline, baselineTimesMs } = whole;
  const parts = [...phases].map(([phase, timesMs]) => ({ name: `  ${phase}`, baseline, timesMs, baselineTimesMs }));
  return [whole, ...parts];
}

async function initialise(onPhase: (phase: string, durationMs: number) => void): Promise<number> {
  await using world = await RunWorld.create();
  const operator = await RunOperator.create(world);
  const machine = await world.machine("cp-1", operator.publicKey, { init: true });
  const running = machine.start();
  await running.event({ event: "init-server-listening" });
  const init = operator.init(machine, []);
  const { durationMs } = v.parse(foundedSchema, await init.event({ event: "founded" }));
  for (const event of await init.events()) {
    if (event["event"] !== "progress" || event["state"] !== "done") continue;
    const done = v.parse(doneSchema, event);
    onPhase(done.phase, done.durationMs);
  }
  if (await running.exitCode() !== 0) throw new Error(`The machine is no member; logs are in ${world.world.logs}`);
  return durationMs;
}

async function initialiseBare(): Promise<number> {
  await using world = await RunWorld.create();
  const { publicKey } = await RunOperator.create(world);
  const { node } = await world.machine("cp-1", publicKey, { init: true });
  const facts = { clusterName: CLUSTER_NAME, node: { name: node.name, address: node.ip } };
  await node.write(DOCUMENTS, initDocuments(testSettings, facts));
  return await millisecondsOf(async () => {
    const { code, output } = await node.run(["kubeadm", "init", `--config=${DOCUMENTS}`]);
    if (code !== 0) throw new Error(`kubeadm init failed: ${output}`);
  });
}
