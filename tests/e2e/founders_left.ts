import assert from "node:assert/strict";
import type { ClusterView } from "./cluster_view.ts";
import { deadlinesMs } from "./deadlines.ts";
import type { Machine } from "./machine.ts";

/** What a founder has only until it has left the founding: F, its pledge, the roster, and etcd's data. */
const leftovers = "ls -A /var/lib/bootstrapper/founding | grep -vx complete; " +
  "ctr --namespace k8s.io containers list --quiet | grep -x bootstrapper-founding-etcd; true";

/** Checks that founders have left: no file of the founding, no etcd of it, and `run` has ended as a member. */
export async function assertFoundersLeft(cluster: ClusterView, founders: readonly Machine[]): Promise<void> {
  for (const founder of founders) {
    await cluster.said(founder, "founding-ended", { parts: ['"kind":"left"'] });
    const { stdout } = await founder.exec(["sh", "-c", leftovers], { deadlineMs: deadlinesMs.command });
    assert.equal(stdout, "", `left on ${founder.name}`);
    assert.equal((await cluster.status(founder)).phase, "member");
  }
}

/** Checks that the locks of these machines are all of one cluster. */
export async function assertOneCluster(machines: readonly Machine[]): Promise<void> {
  const clusters = await Promise.all(machines.map(async (machine) => {
    const { stdout } = await machine.exec(["cat", "/var/lib/bootstrapper/node.lock"], {
      deadlineMs: deadlinesMs.command,
    });
    return JSON.parse(stdout)["clusterId"];
  }));
  assert.match(String(clusters[0]), /^sha256:[0-9a-f]{64}$/);
  assert.equal(new Set(clusters).size, 1, clusters.join());
}
