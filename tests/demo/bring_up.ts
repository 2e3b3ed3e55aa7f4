import { join } from "node:path";
import { BootstrapError } from "../../platform/errors.ts";
import type { BootstrapImage } from "../e2e/bootstrap_image.ts";
import { Operator } from "../e2e/operator.ts";
import type { Testbed } from "../e2e/testbed.ts";
import { waitUntil } from "../e2e/wait_until.ts";
import { run } from "../tools/run.ts";
import { createDemoTestbed, initLog, kubectlArguments, operatorName } from "./demo_testbed.ts";
import { nodeStates } from "./node_states.ts";
import { NodeWatch } from "./node_watch.ts";
import type { Screen } from "./screen.ts";
import type { Steps } from "./steps.ts";

/** What {@linkcode bringUp} works with. */
export interface BringUpOptions {
  /** What the machines boot, and the operator runs. */
  readonly image: BootstrapImage;
  /** Whether the machines outlive this process. */
  readonly keepRunning: boolean;
  /** Runs the steps. */
  readonly steps: Steps;
  /** Shows the nodes. */
  readonly screen: Screen;
  /** Stops the demo. */
  readonly stop: (reason: unknown) => void;
}

const minuteMs = 60_000;
const deadlinesMs = {
  create: 5 * minuteMs,
  listen: 5 * minuteMs,
  evidence: 4 * minuteMs,
  init: 30 * minuteMs,
  ready: 15 * minuteMs,
} as const;
const askEveryMs = 2_000;

/**
 * Boots two machines, has an operator initialise the first, and waits until the second has joined and both are Ready.
 *
 * @returns The testbed with both machines, in this order.
 */
export async function bringUp({ image, keepRunning, steps, screen, stop }: BringUpOptions): Promise<Testbed> {
  const whole = { deadlineMs: deadlinesMs.create, whole: true };
  const { testbed, operator, first } = await steps.run(
    "make a network and two machines, switch them on",
    whole,
    async () => {
      const testbed = await createDemoTestbed(keepRunning);
      const operator = await Operator.create(testbed, image.binary, operatorName);
      const machine = async (name: string, number: number, joinAddresses: readonly string[]) => {
        const credentials = { "bootstrapper.config": operator.nodeConfiguration({ joinAddresses }) };
        const made = await testbed.machine({ name, number, image: image.image, credentials });
        await made.start();
        return made;
      };
      const first = await machine("node-1", 11, []);
      await machine("node-2", 12, [first.address]);
      return { testbed, operator, first };
    },
  );
  screen.say(`         logs: ${testbed.folder}\n`);
  using watch = new NodeWatch(testbed.machines, { onRows: (rows) => screen.show(rows), onFailure: stop });
  const wait = { what: "InitServer on node-1", deadlineMs: deadlinesMs.listen };
  await steps.run("boot, until node-1 listens for an init", wait, async () => {
    await first.journal.waitFor({ ...wait, match: ({ message }) => message.includes("init-server-listening") });
    await first.waitUntilBooted(deadlinesMs.listen);
  });
  await steps.run("make a policy from node-1's evidence", { deadlineMs: deadlinesMs.evidence }, async () => {
    await operator.writeDocuments(first);
  });
  await steps.run(`bootstrapper init ${first.address}`, { deadlineMs: deadlinesMs.init }, async () => {
    const command = testbed.command([image.binary, ...operator.initArguments(first)]);
    const log = join(operator.folder, initLog);
    await run(command, { log }).catch(() => {
      throw new BootstrapError("system/demo-init", "The init of node-1 failed", { details: { log } });
    });
  });
  const ready = { what: "two Ready members", deadlineMs: deadlinesMs.ready, everyMs: askEveryMs };
  await steps.run("wait until node-2 has joined and both are Ready", ready, () =>
    waitUntil(ready, async () => {
      const get = ["get", "nodes", "--output=json", "--request-timeout=20s"];
      const { exitCode, stdout } = await testbed.exec([...kubectlArguments(testbed), ...get]);
      if (exitCode === 0) watch.setKubernetes(nodeStates(stdout));
      screen.show(watch.rows);
      return watch.rows.every(({ state, kubernetes }) => state === "member" && kubernetes === "Ready");
    }));
  return testbed;
}
