import { CrashCluster, type Marks, untilJoinServiceAnswers } from "./crash_cluster.ts";
import { InitLife, JoinLife, type Life } from "./crash_lives.ts";
import type { RunWorld } from "../node/run_machine.ts";
import type { RunOperator } from "../node/run_operator.ts";

/** A sequence of machines, one after the other. Several lanes run in parallel. */
export interface CrashLane {
  /** Makes a fresh machine. */
  life(name: string): Promise<Life>;
  /** Asserts that a machine is a complete member of its cluster. `marks` are those that it had when it was killed. */
  assertMember(life: Life, marks: Marks): Promise<void>;
  /** Removes a machine, and restores the lane's previous state. */
  end(life: Life): Promise<void>;
}

/** A lane in which every machine founds its own cluster. */
export function initLane(world: RunWorld, operator: RunOperator): CrashLane {
  return {
    async life(name) {
      const machine = await world.machine(name, operator.publicKey, { init: true });
      return new InitLife(machine, operator.anew(name));
    },
    async assertMember({ machine }, marks) {
      using cluster = await CrashCluster.of(machine);
      await cluster.assertMember(machine, "init", marks);
    },
    end: ({ machine }) => machine.node.powerOff(),
  };
}

/** A cluster that machines join as workers. Workers need not be removed before the next one joins. */
export class WorkerLane implements CrashLane, Disposable {
  readonly #world: RunWorld;
  readonly #operator: RunOperator;
  readonly #cluster: CrashCluster;

  private constructor(world: RunWorld, operator: RunOperator, cluster: CrashCluster) {
    this.#world = world;
    this.#operator = operator;
    this.#cluster = cluster;
  }

  /** Founds the cluster. */
  static async create(world: RunWorld, operator: RunOperator): Promise<WorkerLane> {
    const machine = await world.machine("founder", operator.publicKey, { init: true });
    await new InitLife(machine, operator).goOn();
    await untilJoinServiceAnswers(machine);
    return new WorkerLane(world, operator, await CrashCluster.of(machine));
  }

  async life(name: string): Promise<Life> {
    const machine = await this.#world.machine(name, this.#operator.publicKey, { init: false, joinAt: ["founder"] });
    return new JoinLife("worker", machine);
  }

  assertMember({ machine }: Life, marks: Marks): Promise<void> {
    return this.#cluster.assertMember(machine, "worker", marks);
  }

  /** The Node is kept, and is not Ready. */
  end({ machine }: Life): Promise<void> {
    return machine.node.powerOff();
  }

  /** Releases the cluster. */
  [Symbol.dispose](): void {
    this.#cluster[Symbol.dispose]();
  }
}
