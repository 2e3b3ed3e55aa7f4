/**
 * Floods of idle connections from many sources, on the InitServer and on the join service.
 *
 * @module
 */
import assert from "node:assert/strict";
import { Places } from "../../../channel/_places.ts";
import { listen } from "../../../channel/server.ts";
import { abortable } from "../../../platform/abortable.ts";
import { asBootstrapError } from "../../../platform/errors.ts";
import { DENO_RUN } from "../../deno_run.ts";
import { InitWorld, sayHello } from "../../exchanges/init_world.ts";
import { ask, newNode, TestCluster } from "../../exchanges/join_world.ts";
import { measureSlowdown } from "../../tools/machine_speed.ts";
import { PATIENCE_MS } from "./attacks.ts";
import { attack } from "./stopped_by.ts";

const TRIES = 100;
const SUCCESSES = 99;
/** How long a caller may take, on the quiet reference machine. */
const IN_TIME_MS = 2_000;
/** How long the attacker may take until each of its sources has been connected. */
const HELD_MS = 60_000;

/** Holds idle connections to a port from so many sources, in a process of its own, until it is disposed of. */
async function holdIdle(port: number, sources: number): Promise<AsyncDisposable> {
  const program = new URL("_idle_sources.ts", import.meta.url).pathname;
  const [deno = "", ...args] = [...DENO_RUN, program, `${port}`, `${sources}`];
  const attacker = new Deno.Command(deno, { args, stdout: "piped" }).spawn();
  const reader = attacker.stdout.getReader();
  const dispose = async () => {
    attacker.kill("SIGKILL");
    await reader.cancel();
    await attacker.status;
  };
  try {
    const { value } = await abortable(reader.read(), AbortSignal.timeout(HELD_MS));
    assert.ok(value !== undefined, "the attack's own machinery");
  } catch (error) {
    await dispose();
    throw error;
  }
  return { [Symbol.asyncDispose]: dispose };
}

/** Asserts that a caller succeeds nearly always, and in time. */
async function assertComesThrough(attempt: () => Promise<unknown>): Promise<void> {
  const failures = new Map<string, number>();
  let successes = 0;
  for (let index = 0; index < TRIES; index++) {
    const limitMs = IN_TIME_MS * await measureSlowdown();
    const late = AbortSignal.timeout(limitMs);
    try {
      await abortable(attempt(), late);
      successes++;
    } catch (error) {
      const reason = late.aborted ? "late" : asBootstrapError(error).code;
      failures.set(reason, (failures.get(reason) ?? 0) + 1);
    }
  }
  assert.ok(successes >= SUCCESSES, `${successes} of ${TRIES}: ${JSON.stringify([...failures])}`);
}

Deno.test(attack("attack: 64 idle sources keep an operator out of the InitServer", listen, Places), async () => {
  await using world = await InitWorld.start();
  await using _attacker = await holdIdle(world.port, 64);
  await assertComesThrough(async () => {
    using dialled = await world.dial();
    await sayHello(dialled, world.operator.keys);
    await dialled.exchange.receive("proposal", PATIENCE_MS);
  });
});

Deno.test(attack("attack: 2,200 idle sources keep a node out of the join service", listen, Places), async () => {
  await using cluster = await TestCluster.create();
  const node = await newNode(cluster.trust);
  await using _attacker = await holdIdle(cluster.port, 2_200);
  await assertComesThrough(() => ask(cluster.port, node));
});
