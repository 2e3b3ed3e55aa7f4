import { Founders } from "../e2e/founders.ts";
import type { JournalEntry } from "../e2e/journal.ts";
import type { Testbed } from "../e2e/testbed.ts";
import { awaitReady, stepOptions } from "./await_ready.ts";
import type { BringUpOptions } from "./bring_up.ts";
import { createDemoTestbed, operatorName } from "./demo_testbed.ts";
import { NodeWatch } from "./node_watch.ts";

const minuteMs = 60_000;
/** In milliseconds of the quiet reference machine. */
const deadlinesMs = {
  create: 5 * minuteMs,
  meet: 8 * minuteMs,
  decide: 5 * minuteMs,
  found: 20 * minuteMs,
  ready: 25 * minuteMs,
} as const;

/**
 * Boots machines with one image and one configuration, and waits until they have founded a cluster among equals, all are
 * members of it and Ready.
 *
 * @param size how many machines
 * @returns the testbed with the machines
 */
export async function bringUpFounders(
  { image, keepRunning, steps, screen, stop }: BringUpOptions,
  size: number,
): Promise<Testbed> {
  const whole = { deadlineMs: deadlinesMs.create, whole: true };
  const { testbed, founders } = await steps.run(
    `make a network and ${size} equal machines, switch them on`,
    whole,
    async () => {
      const testbed = await createDemoTestbed(keepRunning);
      const founders = await Founders.create(testbed, { image, size, folderName: operatorName });
      await Promise.all(founders.machines.map((machine) => machine.start()));
      return { testbed, founders };
    },
  );
  const { machines } = founders;
  screen.say(`         logs: ${testbed.folder}\n`);
  using watch = new NodeWatch(testbed.machines, { onRows: (rows) => screen.show(rows), onFailure: stop });
  /** A step that waits until each machine has logged that event in a line that contains `part`. */
  const said = (title: string, event: string, deadlineMs: number, part = "") =>
    steps.run(
      title,
      stepOptions(testbed, watch, deadlineMs),
      () =>
        Promise.all(machines.map(({ name, journal }) =>
          journal.waitFor({
            what: `"${event}" of ${name}`,
            deadlineMs,
            match: ({ message }: JournalEntry) => message.includes(`"event":"${event}"`) && message.includes(part),
          })
        )),
    );
  await said("boot, until all have met and pledged", "founding-pledged", deadlinesMs.meet);
  await said("decide which of them founds", "founding-decision", deadlinesMs.decide);
  await said("found the cluster", "founding-decision", deadlinesMs.found, '"complete":');
  const wait = stepOptions(testbed, watch, deadlinesMs.ready);
  await steps.run("wait until all are members and Ready", wait, async () => {
    await founders.takeKubeconfig(await founders.decided());
    await awaitReady({ testbed, watch, screen, deadlineMs: deadlinesMs.ready });
  });
  return testbed;
}
