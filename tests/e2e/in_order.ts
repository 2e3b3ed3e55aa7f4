import { lastLogs } from "./last_logs.ts";
import type { Testbed } from "./testbed.ts";

/** Runs one step of a test, if all before it passed. */
export type Step = (name: string, work: () => Promise<void>) => Promise<void>;

/**
 * Steps of which each needs what the one before it left: after the first that fails none is run. Standard error tells where the
 * logs are, and how they end when a step fails.
 */
export function inOrder(test: Deno.TestContext, testbed: Testbed): Step {
  say(`The logs of "${test.name}" are in ${testbed.folder}\n`);
  let passed = true;
  return async (name, work) => {
    if (!passed) return;
    passed = await test.step(name, async () => {
      try {
        await work();
      } catch (error) {
        say(await lastLogs(testbed));
        throw error;
      }
    });
  };
}

function say(text: string): void {
  Deno.stderr.writeSync(new TextEncoder().encode(text));
}
