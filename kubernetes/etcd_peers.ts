/**
 * Which members of etcd the member of this machine is connected with.
 *
 * A join service reaches no other machine, so it cannot ask the other members. Its own member knows: etcd goes by the
 * same connections when it decides whether a member may be added or removed (`isConnectedFullySince` and
 * `isConnectedSince` in `server/etcdserver/cluster_util.go`, etcd 3.6). kubeadm has each member show them on loopback.
 *
 * @module
 */
import { BootstrapError } from "../platform/errors.ts";

/** Where kubeadm has each member show its metrics (`--listen-metrics-urls` in `phases/etcd/local.go`). */
export const OWN_ETCD_METRICS = "http://127.0.0.1:2381/metrics";

const MAXIMUM_BYTES = 4 << 20;
const DEADLINE_MS = 5_000;
/** `active_peers` in `server/etcdserver/api/rafthttp/metrics.go`. IDs have no leading zeros. */
const ACTIVE_PEER = /^etcd_network_active_peers\{Local="[0-9a-f]{1,16}",Remote="([0-9a-f]{1,16})"\} (\d+)$/gm;

/** Reads the IDs of connected members from etcd's metrics, 16 hexadecimal digits each. */
export function readActivePeers(metrics: string): ReadonlySet<string> {
  const connected = [...metrics.matchAll(ACTIVE_PEER)].filter(([, , count]) => Number(count) > 0);
  return new Set(connected.map(([, id = ""]) => id.padStart(16, "0")));
}

/**
 * Asks the member of this machine with which members it is connected.
 *
 * @throws {BootstrapError} `unavailable/etcd`.
 */
export async function activePeers(url: string = OWN_ETCD_METRICS): Promise<ReadonlySet<string>> {
  try {
    const response = await fetch(url, { redirect: "error", signal: AbortSignal.timeout(DEADLINE_MS) });
    if (response.status !== 200) throw new Error(`it answered with ${response.status}`);
    const chunks: Uint8Array<ArrayBuffer>[] = [];
    let length = 0;
    for await (const chunk of response.body ?? []) {
      length += chunk.length;
      if (length > MAXIMUM_BYTES) throw new Error(`its answer is larger than ${MAXIMUM_BYTES} bytes`);
      chunks.push(chunk);
    }
    return readActivePeers(await new Blob(chunks).text());
  } catch (cause) {
    throw new BootstrapError("unavailable/etcd", `etcd's member of this machine does not show its peers at ${url}`, {
      cause,
    });
  }
}
