import { ConfigMaps } from "../../kubernetes/_config_maps.ts";
import { KubernetesApi } from "../../kubernetes/api.ts";
import { BOOTSTRAPPER_NAMESPACE } from "../../kubernetes/cluster_rbac.ts";
import { systemClock } from "../../platform/clock.ts";
import type { Figure } from "./figures.ts";
import { quantile } from "./figures.ts";
import { LineProcess } from "./line_process.ts";
import { freePort, LoadCluster } from "./load_cluster.ts";
import type { LoadResult } from "./load_nodes.ts";
import { LoadNodes } from "./load_nodes.ts";
import { median } from "./pairs.ts";

/** The number of processes for the nodes. Each count is rounded up to a multiple of it. */
const PROCESSES = 3;
const WARM_UP = 30;
const WAITING = 100;
const ROUNDS = 3;
const TICKETS_A_ROUND = 120;
const CONCURRENCY = 32;
const AT_ONCE = 1_000;
const ALL = WARM_UP + WAITING + ROUNDS * TICKETS_A_ROUND + AT_ONCE + 4 * PROCESSES;
const DEADLINE_MS = 120_000;
/** How long all nodes wait before the service starts: several of their polling intervals. */
const BEFORE_START_MS = 1_500;
const BARE_CALL = "TLS 1.3 + gRPC, connect and one call, waited for in the same way";

/**
 * Measures attested joins with a real API server and the compiled join service, with evidence in the TPM's form: (b)
 * waiting nodes, (c) tickets per second, (d) a thousand nodes at once.
 */
export async function benchJoin(binary: string): Promise<Figure[]> {
  await using nodes = await LoadNodes.create(ALL, PROCESSES);
  await using cluster = await LoadCluster.create(nodes.authority);
  {
    const service = await cluster.startService([binary]);
    await join(nodes, cluster, WARM_UP, CONCURRENCY);
    await service[Symbol.asyncDispose]();
  }
  return [
    ...await benchWaiting(nodes, cluster, binary),
    ...await benchThroughput(nodes, cluster, binary),
    ...await benchAtOnce(nodes, cluster, binary),
  ];
}

/** Part (b). */
async function benchWaiting(nodes: LoadNodes, cluster: LoadCluster, binary: string): Promise<Figure[]> {
  const all = { nodes: WAITING, concurrency: WAITING, deadlineMs: DEADLINE_MS };
  const waiting = await nodes.begin({ task: "join", ...cluster.target, ...all });
  await systemClock.sleep(BEFORE_START_MS);
  const service = await cluster.startService([binary]);
  const ticketsMs = since(await waiting(), service.atMs);
  await service[Symbol.asyncDispose]();

  await using bare = LineProcess.module(new URL("./bare_process.ts", import.meta.url));
  await bare.event("ready");
  const port = freePort();
  const endpoints = [{ host: "127.0.0.1", port }];
  const waitingForBare = await nodes.begin({ task: "bare", ...cluster.target, endpoints, ...all });
  await systemClock.sleep(BEFORE_START_MS);
  await bare.send({ port });
  const { atMs } = await bare.event("listening");
  const callsMs = since(await waitingForBare(), Number(atMs));
  const figure = (part: number, limit: number): Figure => ({
    name: `(b) service's listen to ticket, ${WAITING} waiting nodes, p${part * 100}`,
    baseline: BARE_CALL,
    unit: "ms",
    value: quantile(ticketsMs, part),
    baselineValue: quantile(callsMs, part),
    goal: { of: "value", is: "at most", limit },
  });
  return [figure(0.5, 500), figure(0.99, 1_500)];
}

/** Part (c). It alternates with its baseline, so that other load on the machine affects both. */
async function benchThroughput(nodes: LoadNodes, cluster: LoadCluster, binary: string): Promise<Figure[]> {
  const service = await cluster.startService([binary]);
  using api = new KubernetesApi(await cluster.cluster.joinService());
  const tickets: number[] = [];
  const records: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const { startMs, endsMs } = await join(nodes, cluster, TICKETS_A_ROUND, CONCURRENCY);
    tickets.push(endsMs.length / ((endsMs.at(-1) ?? NaN) - startMs) * 1000);
    records.push(await recordsPerSecond(api, round, TICKETS_A_ROUND, CONCURRENCY));
  }
  await service[Symbol.asyncDispose]();
  return [{
    name: "(c) attested tickets",
    baseline: "records: a ConfigMap created, replaced, read back",
    unit: "/s",
    value: median(tickets),
    baselineValue: median(records),
    goal: { of: "ratio", is: "at least", limit: 0.1 },
  }];
}

/** Part (d). */
async function benchAtOnce(nodes: LoadNodes, cluster: LoadCluster, binary: string): Promise<Figure[]> {
  const service = await cluster.startService([binary]);
  const result = await join(nodes, cluster, AT_ONCE, AT_ONCE);
  const memory = await service.signer.memory();
  const frontMemory = await service.front.memory();
  await service[Symbol.asyncDispose]();

  await using bare = LineProcess.module(new URL("./bare_process.ts", import.meta.url));
  await bare.event("ready");
  await bare.send({ port: 0 });
  const port = Number((await bare.event("listening"))["port"]);
  const endpoints = [{ host: "127.0.0.1", port }];
  const all = { nodes: AT_ONCE, concurrency: AT_ONCE, deadlineMs: DEADLINE_MS };
  const bareResult = await (await nodes.begin({ task: "bare", ...cluster.target, endpoints, ...all }))();
  const bareMemory = await bare.memory();
  const name = `(d) ${AT_ONCE} nodes at once`;
  const time = (part: number): Figure => ({
    name: `${name}, p${part * 100}`,
    baseline: BARE_CALL,
    unit: "ms",
    value: quantile(since(result, result.startMs), part),
    baselineValue: quantile(since(bareResult, bareResult.startMs), part),
    ...(part < 0.99 ? {} : { goal: { of: "value", is: "at most", limit: 20_000 } as const }),
  });
  return [
    {
      ...{ name: `${name}, without a ticket`, baseline: BARE_CALL, unit: "" },
      ...{ value: result.withoutTicket, baselineValue: bareResult.withoutTicket },
      goal: { of: "value", is: "at most", limit: 0 },
    },
    ...[time(0.5), time(0.99)],
    ...([["signer", memory], ["front", frontMemory]] as const).map(([part, { peakMb }]): Figure => ({
      ...{ name: `${name}, peak memory of the ${part}`, baseline: "that of the bare gRPC server", unit: "MB" },
      ...{ value: peakMb, baselineValue: bareMemory.peakMb },
      goal: { of: "value", is: "at most", limit: 300 },
    })),
  ];
}

async function join(nodes: LoadNodes, cluster: LoadCluster, count: number, concurrency: number): Promise<LoadResult> {
  const task = { task: "join", ...cluster.target, nodes: count, concurrency, deadlineMs: DEADLINE_MS } as const;
  return await (await nodes.begin(task))();
}

function since({ endsMs }: LoadResult, startMs: number): number[] {
  return endsMs.map((endMs) => endMs - startMs);
}

/** Creates, replaces and reads ConfigMaps: the kind of work that a ticket costs the API server. */
async function recordsPerSecond(
  api: KubernetesApi,
  round: number,
  count: number,
  concurrency: number,
): Promise<number> {
  const configMaps = new ConfigMaps(api, BOOTSTRAPPER_NAMESPACE);
  const names = Array.from({ length: count }, (_, index) => `bench-${round}-${index}`);
  const start = performance.now();
  await Promise.all(Array.from({ length: concurrency }, async () => {
    for (let name = names.pop(); name !== undefined; name = names.pop()) {
      await configMaps.update(await configMaps.create(name, { name }), { name, again: "yes" });
      await configMaps.find(name);
    }
  }));
  return count / (performance.now() - start) * 1000;
}
