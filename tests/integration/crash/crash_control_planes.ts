import * as v from "valibot";
import { KubernetesApi } from "../../../kubernetes/api.ts";
import { readKubeconfig } from "../../../kubernetes/kubeconfig.ts";
import { startSwtpm, type Swtpm } from "../../swtpm.ts";
import { capture } from "../../tools/run.ts";
import { CrashCluster, type Marks, untilJoinServiceAnswers } from "./crash_cluster.ts";
import type { CrashLane } from "./crash_lanes.ts";
import { InitLife, JoinLife, type Life } from "./crash_lives.ts";
import type { RunWorld } from "../node/run_machine.ts";
import { RunOperator } from "../node/run_operator.ts";
import { identityOf, policyOf } from "../node/_tpm_policy.ts";
import { BOOTSTRAPPER } from "../node/run_process.ts";

const COMPONENTS = ["etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"];

/** A cluster whose control planes have software TPMs, and the machines that join it one after the other. */
export class ControlPlaneLane implements CrashLane, AsyncDisposable {
  readonly #world: RunWorld;
  readonly #operator: RunOperator;
  readonly #tpms: readonly Swtpm[];
  readonly #joiner: Swtpm;

  readonly #cluster: CrashCluster;

  private constructor(world: RunWorld, operator: RunOperator, tpms: readonly [Swtpm, Swtpm], cluster: CrashCluster) {
    this.#cluster = cluster;
    this.#world = world;
    this.#operator = operator;
    this.#tpms = tpms;
    this.#joiner = tpms[1];
  }

  /** Makes the lanes, with one operator and one policy that lists all their TPMs. */
  static async create(world: RunWorld, count: number): Promise<ControlPlaneLane[]> {
    const pairs = await Promise.all(
      Array.from({ length: count }, async (): Promise<[Swtpm, Swtpm]> => [await startSwtpm(), await startSwtpm()]),
    );
    const identities = await Promise.all(pairs.flat().map(identityOf));
    const operator = await RunOperator.create(world, policyOf(identities, identities));
    return await Promise.all(pairs.map(async (tpms, index) => {
      const name = `founder-${index + 1}`;
      const machine = await world.machine(name, operator.publicKey, { init: true, tpm: tpms[0].socketPath });
      const own = operator.anew(name);
      await new InitLife(machine, own).goOn();
      await untilJoinServiceAnswers(machine);
      return new ControlPlaneLane(world, own, tpms, await CrashCluster.of(machine));
    }));
  }

  /** A machine that will be the second control plane. Its TPM has been through a power cut. */
  async life(name: string): Promise<Life> {
    await this.#joiner.restart();
    const machine = await this.#world.machine(name, this.#operator.publicKey, {
      init: false,
      joinAt: [this.#cluster.founder.node.name],
      role: "control-plane",
      tpm: this.#joiner.socketPath,
    });
    return new JoinLife("control-plane", machine);
  }

  assertMember({ machine }: Life, marks: Marks): Promise<void> {
    return this.#cluster.assertMember(machine, "control-plane", marks);
  }

  /** Removes the machine from the cluster: first from etcd, while it has a quorum, then with `node remove`. */
  async end({ machine: { node } }: Life): Promise<void> {
    const kubeconfig = this.#cluster.founder.node.path("/etc/kubernetes/admin.conf");
    await this.#cluster.leaveEtcd(node.name);
    await node.powerOff();
    await capture([
      ...BOOTSTRAPPER,
      ...["node", "remove", node.name, "--kubeconfig", kubeconfig, "--yes", "--force", "--may-return"],
    ]);
    using api = new KubernetesApi(await readKubeconfig(kubeconfig));
    for (const component of COMPONENTS) {
      const pod = `/api/v1/namespaces/kube-system/pods/${component}-${node.name}`;
      if (await api.find(pod, v.unknown()) === undefined) continue;
      // A Pod that has ended can be deleted at once.
      await api.merge(`${pod}/status`, { status: { phase: "Succeeded" } }, v.unknown());
      await api.remove(pod);
    }
  }

  /** Releases the cluster and the TPMs. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#cluster[Symbol.dispose]();
    for (const tpm of this.#tpms) await tpm[Symbol.asyncDispose]();
  }
}
