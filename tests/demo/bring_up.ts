import { join } from "node:path";
import type { BootstrapImage } from "../e2e/bootstrap_image.ts";
import { Operator } from "../e2e/operator.ts";
import type { Testbed } from "../e2e/testbed.ts";
import { awaitReady, stepOptions } from "./await_ready.ts";
import { createDemoTestbed, initLog, operatorName } from "./demo_testbed.ts";
import { initialise } from "./initialise.ts";
import { NodeWatch } from "./node_watch.ts";
import type { Screen } from "./screen.ts";
import type { Steps } from "./steps.ts";

/** The input of {@linkcode bringUp}. */
export interface BringUpOptions {
  /** The image that the machines boot; the operator runs its binary. */
  readonly image: BootstrapImage;
  /** Whether the machines outlive this process. */
  readonly keepRunning: boolean;
  readonly steps: Steps;
  /** The screen that shows the nodes. */
  readonly screen: Screen;
  /** Stops the demo. */
  readonly stop: (reason: unknown) => void;
}

const minuteMs = 60_000;
/** In milliseconds of the quiet reference machine. */
const deadlinesMs = {
  create: 5 * minuteMs,
  listen: 5 * minuteMs,
  evidence: 4 * minuteMs,
  init: 20 * minuteMs,
  ready: 15 * minuteMs,
} as const;

/**
 * Boots two machines, has an operator initialise the first, and waits until the second has joined and both are Ready.
 *
 * @returns the testbed with both machines, in this order
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
  const step = (deadlineMs: number) => stepOptions(testbed, watch, deadlineMs);
  const wait = { what: "InitServer on node-1", deadlineMs: deadlinesMs.listen };
  await steps.run("boot, until node-1 listens for an init", step(2 * deadlinesMs.listen), async () => {
    await first.journal.waitFor({ ...wait, match: ({ message }) => message.includes("init-server-listening") });
    await first.waitUntilBooted(deadlinesMs.listen);
  });
  await steps.run("make a policy from node-1's evidence", step(deadlinesMs.evidence), async () => {
    await operator.writeDocuments(first);
  });
  await steps.run(`bootstrapper init ${first.address}`, step(deadlinesMs.init), (signal) => {
    const command = [image.binary, ...operator.initArguments(first)];
    const log = join(operator.folder, initLog);
    const onAgain = () =>
      screen.say("         init has not finished yet: it runs again, and continues its operation\n");
    return initialise({ log, signal, onAgain, exec: (argv) => testbed.exec(argv, { signal }), command });
  });
  await steps.run(
    "wait until node-2 has joined and both are Ready",
    step(deadlinesMs.ready),
    () => awaitReady({ testbed, watch, screen, deadlineMs: deadlinesMs.ready }),
  );
  return testbed;
}
