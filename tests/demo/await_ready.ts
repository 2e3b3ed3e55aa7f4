import type { Testbed } from "../e2e/testbed.ts";
import { waitUntil } from "../e2e/wait_until.ts";
import { kubectlArguments } from "./demo_testbed.ts";
import { nodeStates } from "./node_states.ts";
import { nodeLine } from "./node_table.ts";
import type { NodeWatch } from "./node_watch.ts";
import type { Screen } from "./screen.ts";
import type { StepOptions } from "./steps.ts";

/** The deadline of a step exceeds that of the wait inside it by this time. Only a check that hangs uses it. */
const hangsMs = 2 * 60_000;
const askEveryMs = 2_000;
const requestTimeoutMs = 20_000;

/** The options of a step with a wait of that deadline. At its end the step reports the state of the nodes. */
export function stepOptions(testbed: Testbed, watch: NodeWatch, deadlineMs: number): StepOptions {
  return {
    deadlineMs: deadlineMs + hangsMs,
    logs: testbed.folder,
    seen: () => watch.rows.map(nodeLine).join("; "),
  };
}

/** The input of {@linkcode awaitReady}. */
export interface ReadyOptions {
  readonly testbed: Testbed;
  /** Follows the machines that become members. */
  readonly watch: NodeWatch;
  readonly screen: Screen;
  readonly deadlineMs: number;
}

/** Waits until each machine is a member and its Node is Ready, and shows the Nodes' states meanwhile. */
export async function awaitReady({ testbed, watch, screen, deadlineMs }: ReadyOptions): Promise<void> {
  const what = `${testbed.machines.length} Ready members`;
  await waitUntil({ what, deadlineMs, everyMs: askEveryMs }, async ({ saw, slowdown }) => {
    const timeout = `--request-timeout=${Math.ceil(requestTimeoutMs * slowdown / 1000)}s`;
    const get = ["get", "nodes", "--output=json", timeout];
    const { exitCode, stdout, stderr } = await testbed.exec([...kubectlArguments(testbed), ...get]);
    if (exitCode === 0) watch.setKubernetes(nodeStates(stdout));
    saw([...watch.rows.map(nodeLine), stderr.trim()].filter((text) => text !== "").join("; "));
    screen.show(watch.rows);
    return watch.rows.every(({ state, kubernetes }) => state === "member" && kubernetes === "Ready");
  });
}
