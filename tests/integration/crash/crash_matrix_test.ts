/**
 * `kill -9` right before and right after every step of init and of both kinds of join, and of kubeadm in each of its
 * phases. `-- --slice K/N` selects one of N parts of these kills; every part includes the undisturbed lives.
 */
import assert from "node:assert/strict";
import * as v from "valibot";
import { inSlice, sliceOfThisRun } from "../../full/slice.ts";
import { type Marks, marksOf } from "./crash_cluster.ts";
import { ControlPlaneLane } from "./crash_control_planes.ts";
import { assertFresh, treeOf } from "./crash_fresh.ts";
import { type CrashLane, initLane, WorkerLane } from "./crash_lanes.ts";
import type { Life } from "./crash_lives.ts";
import { CrashMatrix, inLanes } from "./crash_matrix.ts";
import { type CrashPoint, crashPoints, LOCK_STEPS, STEPS, type Way } from "./crash_points.ts";
import { announcementsOf, kubeadmLines, liveThroughKills, phaseEnds, setKillPoints } from "./_kubeadm_kills.ts";
import { KUBEADM_ANNOUNCEMENTS, type KubeadmCommand } from "../kubernetes/kubeadm_announcements.ts";
import { RunWorld } from "../node/run_machine.ts";
import { RunOperator } from "../node/run_operator.ts";

/**
 * The life of one machine: undisturbed, with a kill of `run`, with such a kill while the kubelet is stopped, or with
 * kills of kubeadm.
 */
type Task =
  | { readonly kind: "undisturbed" }
  | { readonly kind: "run"; readonly point: CrashPoint }
  | { readonly kind: "kubelet-stopped" }
  | { readonly kind: "kubeadm"; readonly points: readonly string[] };

/**
 * The processes of kubeadm in each way, and the number of kills in one life: a worker that has joined needs no kubeadm.
 */
const KUBEADM: Readonly<Record<Way, { readonly works: readonly KubeadmCommand[]; readonly killsInALife: number }>> = {
  "init": { works: ["init"], killsInALife: 8 },
  "worker": { works: ["join"], killsInALife: 1 },
  "control-plane": { works: ["prepare", "etcd", "finish"], killsInALife: 8 },
};

const SLICE = sliceOfThisRun();

const timelineSchema = v.object({ phases: v.array(v.object({ name: v.string() })) });

/** The lives of one way. */
class Crashes {
  #lives = 0;

  constructor(readonly way: Way, readonly world: RunWorld, readonly matrix: CrashMatrix) {}

  /** Runs all lives in several lanes. */
  async run(lanes: readonly CrashLane[]): Promise<void> {
    const { way } = this;
    const chosen = crashPoints(way).filter(({ step, moment }) => inSlice(`${way} ${moment} ${step}`, SLICE));
    const kills = chosen.map((point): Task => ({ kind: "run", point }));
    const tasks: Task[] = [{ kind: "undisturbed" }, ...kills];
    if (way === "control-plane" && inSlice(`${way} kubelet-stopped`, SLICE)) tasks.push({ kind: "kubelet-stopped" });
    await inLanes<CrashLane, Task>(lanes, tasks, async (lane, task, add) => {
      const life = await lane.life(`${way}-${++this.#lives}`);
      switch (task.kind) {
        case "undisturbed":
          add(...await this.#undisturbed(lane, life));
          break;
        case "run":
          await this.#killRun(lane, life, task.point);
          break;
        case "kubelet-stopped":
          await this.#killWithKubeletStopped(lane, life);
          break;
        case "kubeadm":
          add(...await this.#killKubeadm(lane, life, task.points));
      }
      await lane.end(life);
    });
  }

  /**
   * Asserts that the steps of an undisturbed life are those of the journal's tables. Returns the lives in which kubeadm
   * is killed in each phase that it announced here.
   */
  async #undisturbed(lane: CrashLane, life: Life): Promise<Task[]> {
    const { way, world } = this;
    const { works, killsInALife } = KUBEADM[way];
    let points: readonly string[] = [];
    await this.matrix.rows({ way, victim: "none", step: "" }, async () => {
      await setKillPoints(life.machine, []);
      await life.goOn();
      const text = await life.machine.text("/var/lib/bootstrapper/timeline.json");
      const { phases } = v.parse(timelineSchema, JSON.parse(text));
      assert.deepEqual(phases.map(({ name }) => name), ["detect", ...STEPS[way]]);
      const lines = await kubeadmLines(world, life.machine);
      for (const work of works) assert.deepEqual(announcementsOf(lines, work), KUBEADM_ANNOUNCEMENTS[work]);
      points = phaseEnds(lines).filter((point) => inSlice(`${way} ${point}`, SLICE));
      await lane.assertMember(life, {});
      return [{ step: "", moment: "", ended: "member" }];
    });
    const lives = Math.ceil(points.length / killsInALife);
    return Array.from({ length: lives }, (_, index): Task => ({
      kind: "kubeadm",
      points: points.slice(index * killsInALife, (index + 1) * killsInALife),
    }));
  }

  async #killRun(lane: CrashLane, life: Life, point: CrashPoint): Promise<void> {
    const { step, moment } = point;
    await this.matrix.rows({ way: this.way, victim: "run", step: `${moment} ${step}` }, async () => {
      const before = await treeOf(life.machine);
      await life.crash(point);
      const marks = await marksOf(life.machine);
      const was = await this.#stateAt(point, life, marks, before);
      await life.goOn();
      await lane.assertMember(life, marks);
      return [{ step, moment, ended: `${was}, then member` }];
    });
  }

  /**
   * kubeadm and `run` stop the kubelet for a moment. If a node is killed then, after its etcd can vote and before its
   * kubelet has joined, it needs a ticket. A ticket needs the API server, which needs etcd's quorum, which needs the
   * node's own kubelet.
   */
  async #killWithKubeletStopped(lane: CrashLane, life: Life): Promise<void> {
    const { machine } = life;
    const step = "kubeadm-finish";
    await this.matrix.rows({ way: this.way, victim: "run", step }, async () => {
      await life.crash({ step, moment: "before", harm: { kind: "kill" } });
      await machine.systemctl("stop", "kubelet");
      await machine.shell("rm -f /etc/kubernetes/kubelet.conf");
      await life.goOn();
      await lane.assertMember(life, {});
      return [{ step, moment: "before", ended: "locked, kubelet stopped, then member" }];
    });
  }

  /**
   * Asserts that the lock exists from its step on and that the machine was fresh before, and returns that state as
   * text.
   */
  async #stateAt(
    { step, moment }: CrashPoint,
    life: Life,
    { lock }: Marks,
    before: ReadonlyMap<string, string>,
  ): Promise<string> {
    const steps = STEPS[this.way];
    const order = steps.indexOf(step) - steps.indexOf(LOCK_STEPS[this.way]);
    const isFresh = steps.includes(step) && (order < 0 || (order === 0 && moment === "before"));
    assert.equal(lock === undefined, isFresh, `the lock is ${lock}`);
    if (!isFresh) return "locked";
    await assertFresh(life.machine, before);
    return "fresh";
  }

  /** Returns a life for the points that this one did not reach, because all work was already done. */
  async #killKubeadm(lane: CrashLane, life: Life, points: readonly string[]): Promise<Task[]> {
    const { way, world } = this;
    let left: readonly string[] = [];
    await this.matrix.rows({ way, victim: "kubeadm", step: points.join(", ") }, async () => {
      await setKillPoints(life.machine, points);
      await liveThroughKills(world, life);
      await lane.assertMember(life, {});
      const killed = (await kubeadmLines(world, life.machine)).filter((line) => line.killed);
      assert.ok(killed.length > 0, "kubeadm was never killed");
      left = points.filter((point) => !killed.some((line) => line.point === point));
      const ended = `member, after ${killed.length} ${killed.length === 1 ? "kill" : "kills"}`;
      return killed.map(({ work, phase, line }) => ({ step: `${work}: ${phase}`, moment: `line ${line}`, ended }));
    });
    return left.length === 0 ? [] : [{ kind: "kubeadm", points: left }];
  }
}

/** Registers the test of a way. */
function crashTest(way: Way, body: (crashes: Crashes, world: RunWorld) => Promise<void>): void {
  Deno.test(`${way}: the node becomes one complete member after every kill -9`, async () => {
    await using world = await RunWorld.create({ killsKubeadm: true });
    const matrix = new CrashMatrix();
    try {
      await body(new Crashes(way, world, matrix), world);
      matrix.assertAllWell();
    } catch (cause) {
      throw new Error(`Logs are in ${world.world.logs}`, { cause });
    } finally {
      await matrix.report(world.world.logs);
    }
  });
}

crashTest("init", async (crashes, world) => {
  const operator = await RunOperator.create(world);
  await crashes.run([initLane(world, operator), initLane(world, operator), initLane(world, operator)]);
});

crashTest("worker", async (crashes, world) => {
  using lane = await WorkerLane.create(world, await RunOperator.create(world));
  await crashes.run([lane, lane, lane]);
});

crashTest("control-plane", async (crashes, world) => {
  await using all = new AsyncDisposableStack();
  const lanes = await ControlPlaneLane.create(world, 3);
  for (const lane of lanes) all.use(lane);
  await crashes.run(lanes);
});
