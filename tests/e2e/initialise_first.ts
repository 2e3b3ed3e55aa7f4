import assert from "node:assert/strict";
import type { ClusterView } from "./cluster_view.ts";
import { deadlinesMs } from "./deadlines.ts";
import type { Machine } from "./machine.ts";
import type { ClusterOptions, Operator } from "./operator.ts";

/**
 * Has an operator initialise a machine that was started, with a policy made from the machine's evidence, and waits
 * until its Node is Ready.
 */
export async function initialiseFirst(
  operator: Operator,
  cluster: ClusterView,
  first: Machine,
  options: ClusterOptions = {},
): Promise<void> {
  await cluster.said(first, "init-server-listening");
  await first.waitUntilBooted(deadlinesMs.boot);
  await operator.writeDocuments(first, options);
  const { exitCode, stdout, stderr } = await operator.run(operator.initArguments(first));
  assert.equal(exitCode, 0, `${stdout}\n${stderr}`);
  await cluster.ready(first.name);
}
