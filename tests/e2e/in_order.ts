import { lastLogs } from "./last_logs.ts";
import type { Testbed } from "./testbed.ts";

/** Runs one step of a test if all earlier steps passed. */
export type Step = (name: string, work: () => Promise<void>) => Promise<void>;

/**
 * Runs steps that each depend on the one before: after the first failure no further step runs. When a step fails,
 * standard error shows where the logs are and how they end.
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
