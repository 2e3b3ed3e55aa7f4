import type { BenchPart } from "./bench_part.ts";
import type { Figure } from "./figures.ts";
import { quantile } from "./figures.ts";
import { LoadCluster } from "./load_cluster.ts";
import { LoadNodes } from "./load_nodes.ts";
import { measurePairs, type Pairs, pick } from "./pairs.ts";
import { admitTokens, startSigners } from "./token_cluster.ts";

const PROCESSES = 2;
const AT_ONCE = 100;
const WARM_UP = 6;
const DEADLINE_MS = 300_000;

/** What 100 joins took, milliseconds. */
interface Joins {
  readonly p50Ms: number;
  readonly lastMs: number;
}

/**
 * (g): compares 100 attested joins at once with 100 joins of plain kubeadm at once, on the same API server: ours from
 * the question for a ticket to the look for the Node, theirs from the discovery to that look. Nothing of either is run
 * on a node. Their controller manager has the limits of calls that it has by default, and then none that matter.
 */
export const benchPeers: BenchPart = async ({ binary, rounds }) => {
  await using nodes = await LoadNodes.create(PROCESSES);
  await using load = await LoadCluster.create(nodes.authority);
  const { cluster, target, admin: { server, caPem } } = load;
  const token = await admitTokens(cluster);
  const some = (count: number) => ({ nodes: count, concurrency: count, deadlineMs: DEADLINE_MS, server, caPem });
  const atOnce = async (join: (count: number) => ReturnType<LoadNodes["run"]>): Promise<Joins> => {
    await join(WARM_UP);
    const { startMs, endsMs, unfinished, retried } = await join(AT_ONCE);
    if (unfinished > 0) throw new Error(`${unfinished} joins were not done in time: ${JSON.stringify(retried)}`);
    const timesMs = endsMs.map((endMs) => endMs - startMs);
    return { p50Ms: quantile(timesMs, 0.5), lastMs: quantile(timesMs, 1) };
  };
  const ours = async () => {
    await using _service = await load.startService(binary);
    return await atOnce((count) => nodes.run({ task: "member", ...target, ...some(count) }));
  };
  const theirs = (isLimited: boolean) => async () => {
    await using _signers = startSigners(cluster.controlPlane, isLimited);
    return await atOnce((count) => nodes.run({ task: "kubeadm", token, ...some(count) }));
  };
  return [
    ...figures("kubeadm join", await measurePairs(rounds, ours, theirs(true))),
    ...figures("kubeadm join, signers without limits", await measurePairs(rounds, ours, theirs(false))),
  ];
};

function figures(baseline: string, pairs: Pairs<Joins>): Figure[] {
  const figure = (name: string, of: keyof Joins): Figure => ({
    ...{ name: `(g) ${AT_ONCE} attested joins at once, ${name}`, baseline, unit: "ms" },
    ...pick(pairs, (one) => one[of], (one) => one[of]),
    goal: { of: "ratio", is: "at most", limit: 1 },
  });
  return [figure("p50", "p50Ms"), figure("the last", "lastMs")];
}
