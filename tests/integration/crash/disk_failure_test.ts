/**
 * Disks are full or read-only when a step begins, or before its end is recorded. The node reports a clear error, loses
 * nothing, and becomes a member as soon as the disks work again.
 */
import assert from "node:assert/strict";
import { waitUntil } from "../../e2e/wait_until.ts";
import { ControlPlaneLane } from "./crash_control_planes.ts";
import { type CrashLane, initLane, WorkerLane } from "./crash_lanes.ts";
import { InitLife, type Life } from "./crash_lives.ts";
import { CrashMatrix, inLanes } from "./crash_matrix.ts";
import { type CrashPoint, type Harm, LOCK_STEPS, MEMBERSHIP, STEPS, type Way } from "./crash_points.ts";
import { RunWorld } from "../node/run_machine.ts";
import { RunOperator } from "../node/run_operator.ts";
import { type BootstrapperProcess, PATIENCE_MS, type PrintedEvent } from "../node/run_process.ts";
import { SmallDisks } from "./_small_disks.ts";

const STATE = ["/var/lib/bootstrapper"];
const KUBERNETES = ["/etc/kubernetes", "/var/lib/kubelet"];
const KINDS = ["full", "read-only"] as const;
type Kind = typeof KINDS[number];

/** Events with which `run` reports that it cannot go on, now or at all. */
const COMPLAINTS = ["run-failed", "join-not-prepared", "join-not-finished"];

/** One machine whose disks fail at a step, with one kind of failure after the other. */
interface Task {
  readonly lane: CrashLane;
  readonly way: Way;
  readonly folders: readonly string[];
  readonly failures: readonly Failure[];
}

/** When the disks fail, and in which way. */
interface Failure {
  readonly step: string;
  readonly moment: CrashPoint["moment"];
  readonly kind: Kind;
}

/** Failures before the work of steps that write to Kubernetes' own folders. */
function failuresBefore(...steps: readonly string[]): Failure[] {
  return steps.flatMap((step) => KINDS.map((kind): Failure => ({ step, moment: "before", kind })));
}

/**
 * Failures before and after the work of every step, that is, before each write of the journal, and before the node is
 * recorded as a member. A node takes the lock once, so each life has one kind of failure after that step's work:
 * `afterLock`.
 */
function allFailures(way: Way, afterLock: Kind): Failure[] {
  const steps = STEPS[way].flatMap((step) => {
    const kinds = step === LOCK_STEPS[way] ? [afterLock] : KINDS;
    return [...failuresBefore(step), ...kinds.map((kind): Failure => ({ step, moment: "after", kind }))];
  });
  return [...steps, ...failuresBefore(MEMBERSHIP)];
}

/** The other kind of failure after the lock, in a separate life. */
function failureAfterLock(way: Way, kind: Kind): Failure[] {
  return [{ step: LOCK_STEPS[way], moment: "after", kind }];
}

function isFreshAt(way: Way, { step, moment }: Failure): boolean {
  const steps = [...STEPS[way], MEMBERSHIP];
  const lock = steps.indexOf(LOCK_STEPS[way]);
  return moment === "before" ? steps.indexOf(step) <= lock : steps.indexOf(step) < lock;
}

/** The error that `run` reports for a failure, or the error of the operator's `init` if only the init is refused. */
async function complaintOf(life: Life, point: CrashPoint): Promise<PrintedEvent> {
  const running = life.machine.start(point);
  const init = life instanceof InitLife ? await initFor(life, running) : undefined;
  const what = `complaint of ${life.machine.node.name} at ${point.step}`;
  const complaint = await waitUntil({ what, deadlineMs: PATIENCE_MS }, async () => {
    const { isOver } = running;
    const found = (await running.events()).find(({ event }) => COMPLAINTS.includes(String(event)));
    if (found !== undefined) return found;
    if (isOver) throw new Error(`run ended without a complaint: ${await running.output()}`);
    return init?.isOver && await init.exitCode() !== 0 ? refusalIn(await init.output()) : undefined;
  });
  await running.kill();
  await init?.kill();
  return complaint;
}

/** Starts the operator's init if the node still needs one. */
async function initFor(life: InitLife, running: BootstrapperProcess): Promise<BootstrapperProcess | undefined> {
  await running.event({ event: "init-server-listening" }).catch(() => {});
  return running.isOver ? undefined : life.operator.init(life.machine, []);
}

function refusalIn(output: string): PrintedEvent {
  const line = output.split("\n").find((text) => text.startsWith("{") && text.includes('"error"')) ?? "{}";
  return JSON.parse(line).error ?? {};
}

/** Asserts that the error names the file or the folder, and the reason. */
function assertClear(complaint: PrintedEvent, folders: readonly string[]): string {
  const { code, message, path } = complaint;
  const text = `${message} ${path}`;
  assert.match(String(code), /^(?:system\/(?:file|run-lock|kubeadm|command)|unavailable\/etcd)$/, text);
  assert.ok(folders.some((folder) => text.includes(folder)), text);
  assert.match(text, /no space left|read-only file system/i);
  return `${code}: ${message}`;
}

/** The machine's lock file, even if something is mounted over the machine's disk. */
async function lockOf({ machine }: Life): Promise<string | undefined> {
  const { code, output } = await machine.node.run(["cat", "/var/lib/bootstrapper/node.lock"]);
  return code === 0 ? output : undefined;
}

async function failEverywhere(
  matrix: CrashMatrix,
  name: string,
  { lane, way, folders, failures }: Task,
): Promise<void> {
  const life = await lane.life(name);
  const { machine } = life;
  const disks = await SmallDisks.mount(machine, folders);
  let lock: string | undefined;
  for (const failure of failures) {
    const { step, moment, kind } = failure;
    await matrix.rows({ way, victim: `disk ${kind}`, step }, async () => {
      const harm: Harm = { kind, folders: [...folders] };
      const complaint = await complaintOf(life, { step, moment, harm }).finally(() => disks.mend(kind));
      const now = await lockOf(life);
      assert.equal(now === undefined, isFreshAt(way, failure));
      assert.equal(now, lock ??= now);
      return [{ step, moment, ended: assertClear(complaint, folders) }];
    });
  }
  await matrix.rows({ way, victim: "none", step: "" }, async () => {
    await life.goOn();
    await disks.move();
    await lane.assertMember(life, lock === undefined ? {} : { lock });
    return [{ step: folders.join(" and "), moment: "room again", ended: "member" }];
  });
  await lane.end(life);
}

/** Registers a test whose machines are in a world of their own. */
function diskTest(
  name: string,
  tasksIn: (world: RunWorld, ends: AsyncDisposableStack) => Promise<readonly Task[]>,
): void {
  Deno.test(name, async () => {
    await using world = await RunWorld.create();
    await using ends = new AsyncDisposableStack();
    const matrix = new CrashMatrix();
    try {
      let count = 0;
      await inLanes(
        [1, 2, 3],
        await tasksIn(world, ends),
        (_, task) => failEverywhere(matrix, `small-${++count}`, task),
      );
      matrix.assertAllWell();
    } catch (cause) {
      throw new Error(`Logs are in ${world.world.logs}`, { cause });
    } finally {
      await matrix.report(world.world.logs);
    }
  });
}

diskTest(
  "init and worker: a full or read-only disk gives a clear error, and the node becomes a member later",
  async (world, ends) => {
    const operator = await RunOperator.create(world);
    const workers = ends.use(await WorkerLane.create(world, operator));
    const inits = initLane(world, operator);
    return [
      { lane: inits, way: "init", folders: STATE, failures: allFailures("init", "full") },
      { lane: workers, way: "worker", folders: STATE, failures: allFailures("worker", "full") },
      { lane: inits, way: "init", folders: STATE, failures: failureAfterLock("init", "read-only") },
      { lane: workers, way: "worker", folders: STATE, failures: failureAfterLock("worker", "read-only") },
      { lane: inits, way: "init", folders: KUBERNETES, failures: failuresBefore("certificates", "kubeadm-init") },
      { lane: workers, way: "worker", folders: KUBERNETES, failures: failuresBefore("kubeadm-join") },
    ];
  },
);

diskTest(
  "control plane: a full or read-only disk gives a clear error, and the node becomes a member later",
  async (world, ends) => {
    const [one, other] = await ControlPlaneLane.create(world, 2);
    assert(one !== undefined && other !== undefined);
    const way = "control-plane";
    return [
      { lane: ends.use(one), way, folders: STATE, failures: allFailures(way, "read-only") },
      {
        lane: ends.use(other),
        way,
        folders: KUBERNETES,
        failures: failuresBefore("cluster-keys", "kubeadm-prepare", "kubeadm-etcd"),
      },
    ];
  },
);
