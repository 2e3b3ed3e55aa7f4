/**
 * Helpers for tests of an init that outlives its node's connections and processes.
 *
 * @module
 */
import assert from "node:assert/strict";
import { randomBytes } from "../../platform/bytes.ts";
import type { Clock } from "../../platform/clock.ts";
import { systemClock } from "../../platform/clock.ts";
import { BootstrapError } from "../../platform/errors.ts";
import type { ProgressEvent } from "../../proto/gen/bootstrapper.ts";
import { InitWorld, TestOperator } from "./init_world.ts";
import type { InitWorldOptions } from "./init_world.ts";
import { ShownMachine } from "./init_machine.ts";
import { TestWire } from "./init_wire.ts";
import type { InitOptions, LostNode, NewCluster } from "../../operator/init_client.ts";

/** A clock whose pauses take a fiftieth of their time. */
export const fastClock: Clock = {
  ...systemClock,
  sleep: (ms: number, signal?: AbortSignal) => systemClock.sleep(ms / 50, signal),
};
/** The reason why the node's process ends. */
export const stopped = new BootstrapError("aborted/run", "The bootstrapper was stopped");

/** A machine with a disk, and an operator's init that calls it over a wire. */
export class Bootstrap implements AsyncDisposable {
  readonly events: ProgressEvent[] = [];
  readonly losses: LostNode[] = [];
  /** For each connection, whether the node went on with the recorded operation. */
  readonly verified: boolean[] = [];
  readonly #worlds: InitWorld[] = [];
  readonly machine = new ShownMachine(randomBytes(32));
  #wire: TestWire | undefined;

  private constructor(readonly operator: TestOperator, readonly folder: string) {}

  static async create(): Promise<Bootstrap> {
    return new Bootstrap(await TestOperator.create(), await Deno.makeTempDir({ prefix: "init-world-" }));
  }

  /** Starts the node's process, for the first time or again. */
  async boot(options: InitWorldOptions = {}): Promise<InitWorld> {
    const { operator, folder } = this;
    const world = await InitWorld.start({ operator, folder, machine: this.machine, ...options });
    this.#worlds.push(world);
    if (this.#wire === undefined) this.#wire = new TestWire(world.port);
    else this.#wire.leadTo(world.port);
    return world;
  }

  get wire(): TestWire {
    return this.#wire ?? assert.fail("nothing was booted");
  }

  /** Cuts the machine's power, and starts it again. */
  reboot(): void {
    this.machine.reboot();
  }

  found(changes: Partial<InitOptions> = {}): Promise<NewCluster> {
    return this.operator.found(this.wire.endpoint, {
      clock: fastClock,
      onVerified: (_claims, _clusterId, again) => this.verified.push(again),
      onLost: (lost) => this.losses.push(lost),
      ...changes,
      onProgress: (event) => {
        this.events.push(event);
        changes.onProgress?.(event);
      },
    });
  }

  /** Asserts that each event came once, in order. */
  assertEvents(): void {
    const numbers = this.events.map(({ number }) => number);
    assert.deepEqual(numbers, numbers.map((_, index) => index + 1));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#wire?.[Symbol.dispose]();
    await this.operator[Symbol.asyncDispose]();
    await Promise.all(this.#worlds.map(({ founding }) => founding));
    await Deno.remove(this.folder, { recursive: true });
  }
}
