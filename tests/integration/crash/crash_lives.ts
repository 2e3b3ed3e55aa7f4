import assert from "node:assert/strict";
import { waitUntil } from "../../e2e/wait_until.ts";
import type { CrashPoint, Way } from "./crash_points.ts";
import type { RunMachine } from "../node/run_machine.ts";
import type { RunOperator } from "../node/run_operator.ts";
import type { BootstrapperProcess } from "../node/run_process.ts";
import { PATIENCE_MS } from "../node/run_process.ts";

/** As a shell and as nsenter show an end by SIGKILL. */
const KILLED = 137;
/** More often nobody should have to try. */
const MAXIMUM_TRIES = 4;
const POLL_MS = 50;

/** A machine on its way to be a member. */
export interface Life {
  /** How it becomes one. */
  readonly way: Way;
  /** The machine. */
  readonly machine: RunMachine;
  /** Starts `run`, which kills itself at the point. */
  crash(point: CrashPoint): Promise<void>;
  /** Starts `run`, which comes to harm at a point where one is given, and waits for its end, whatever it is. */
  start(point?: CrashPoint): Promise<BootstrapperProcess>;
  /** Starts `run`, which must end well. */
  goOn(): Promise<void>;
}

/** A join needs nobody but the machine itself. */
export class JoinLife implements Life {
  /** Nothing has started. */
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
 * An init needs an operator. The operator's `init` goes on by itself from the lock on, however often `run` dies; when it has ended
 * before, the operator runs it again.
 */
export class InitLife implements Life {
  readonly way = "init";
  #init: BootstrapperProcess | undefined;

  /** Nothing has started, and the operator knows of no cluster. */
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
      // Who was locked goes on before anybody asks, and may have ended already.
      await running.event({ event: "init-server-listening" }).catch(() => {});
      if (running.isOver) break;
      const init = this.#initUnderWay() ?? (this.#init = this.operator.init(this.machine, []));
      const what = `end of init, or of run, on ${this.machine.node.name}`;
      await waitUntil(
        { what, deadlineMs: PATIENCE_MS, everyMs: POLL_MS },
        () => Promise.resolve(init.isOver || running.isOver),
      );
      // An init that had begun survives the death of `run`.
      if (running.isOver || await init.exitCode() === 0) break;
    }
    await running.exitCode();
    return running;
  }

  async goOn(): Promise<void> {
    const running = await this.start();
    assert.equal(await running.exitCode(), 0, await running.output());
    assert.ok(await this.#isFounded(), "its operator was never served");
    if (this.#init !== undefined) assert.equal(await this.#init.exitCode(), 0, await this.#init.output());
  }

  #initUnderWay(): BootstrapperProcess | undefined {
    return this.#init?.isOver === false ? this.#init : undefined;
  }

  /** By the operator's record, which claims the cluster that there is. */
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
