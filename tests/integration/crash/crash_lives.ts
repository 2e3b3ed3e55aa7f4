import assert from "node:assert/strict";
import { waitUntil } from "../../e2e/wait_until.ts";
import type { CrashPoint, Way } from "./crash_points.ts";
import type { RunMachine } from "../node/run_machine.ts";
import type { RunOperator } from "../node/run_operator.ts";
import type { BootstrapperProcess } from "../node/run_process.ts";
import { PATIENCE_MS } from "../node/run_process.ts";

/** The exit code with which a shell and nsenter report SIGKILL. */
const KILLED = 137;
/** No test should need more attempts than this. */
const MAXIMUM_TRIES = 4;
const POLL_MS = 50;

/** A machine that is becoming a member. */
export interface Life {
  /** How it becomes a member. */
  readonly way: Way;
  readonly machine: RunMachine;
  /** Starts `run`, which is killed at the point. */
  crash(point: CrashPoint): Promise<void>;
  /** Starts `run`, with a failure at `point` if one is given, and waits until it ends with any result. */
  start(point?: CrashPoint): Promise<BootstrapperProcess>;
  /** Starts `run`, which must succeed. */
  goOn(): Promise<void>;
}

/** A join, which needs no operator. */
export class JoinLife implements Life {
  /** Nothing has been started. */
  constructor(readonly way: "worker" | "control-plane", readonly machine: RunMachine) {}

  async crash(point: CrashPoint): Promise<void> {
    await assertKilled(await this.start(point));
  }

  async start(point?: CrashPoint): Promise<BootstrapperProcess> {
    const running = this.machine.start(point);
    await running.exitCode();
    return running;
  }

  async goOn(): Promise<void> {
    const running = await this.start();
    assert.equal(await running.exitCode(), 0, await running.output());
  }
}

/**
 * An init, which needs an operator. After the lock the operator's `init` goes on by itself, however often `run` dies.
 * If it has ended before, the operator runs it again.
 */
export class InitLife implements Life {
  readonly way = "init";
  #init: BootstrapperProcess | undefined;

  /** Nothing has been started, and the operator knows no cluster. */
  constructor(readonly machine: RunMachine, readonly operator: RunOperator) {}

  async crash(point: CrashPoint): Promise<void> {
    await assertKilled(await this.start(point));
  }

  async start(point?: CrashPoint): Promise<BootstrapperProcess> {
    const running = this.machine.start(point);
    if (await this.#isFounded()) {
      await running.exitCode();
      return running;
    }
    for (let tries = 1; tries <= MAXIMUM_TRIES; tries++) {
      // A locked node continues before it listens, and may already have ended.
      await running.event({ event: "init-server-listening" }).catch(() => {});
      if (running.isOver) break;
      const init = this.#initUnderWay() ?? (this.#init = this.operator.init(this.machine, []));
      const what = `end of init, or of run, on ${this.machine.node.name}`;
      await waitUntil(
        { what, deadlineMs: PATIENCE_MS, everyMs: POLL_MS },
        () => Promise.resolve(init.isOver || running.isOver),
      );
      // An init that has begun survives the death of `run`.
      if (running.isOver || await init.exitCode() === 0) break;
    }
    await running.exitCode();
    return running;
  }

  async goOn(): Promise<void> {
    const running = await this.start();
    assert.equal(await running.exitCode(), 0, await running.output());
    assert.ok(await this.#isFounded(), "the operator's init was never completed");
    if (this.#init !== undefined) assert.equal(await this.#init.exitCode(), 0, await this.#init.output());
  }

  #initUnderWay(): BootstrapperProcess | undefined {
    return this.#init?.isOver === false ? this.#init : undefined;
  }

  /** Whether the operator's record says that the cluster is founded, and names the cluster of this machine. */
  async #isFounded(): Promise<boolean> {
    const text = await Deno.readTextFile(this.operator.path("records/test.json")).catch(() => "{}");
    const record = JSON.parse(text);
    if (record.state !== "founded") return false;
    const { clusterId } = JSON.parse(await this.machine.text("/var/lib/bootstrapper/node.lock"));
    assert.equal(`sha256:${record.clusterId}`, clusterId, "the operator's record is of another cluster");
    return true;
  }
}

async function assertKilled(running: BootstrapperProcess): Promise<void> {
  const code = await running.exitCode();
  assert.equal(code, KILLED, `it ended with ${code}, not by the kill: ${await running.output()}`);
}
