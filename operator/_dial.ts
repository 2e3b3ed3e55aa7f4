/**
 * Connections to a node's InitServer.
 *
 * @module
 */
import { dial } from "../channel/client.ts";
import type { DialledExchange } from "../channel/client.ts";
import { readEndpoint } from "../platform/endpoint.ts";
import { BootstrapError } from "../platform/errors.ts";
import { isResolved, unresolvedName } from "../platform/reach.ts";
import { InitServiceService } from "../proto/gen/bootstrapper.ts";
import type { InitClientMessage, InitServerMessage } from "../proto/gen/bootstrapper.ts";
import type { ClusterRecord } from "./cluster_records.ts";

const INIT_PORT = 9443;
/** A FoundingServer listens where an InitServer would, and answers to no stranger. */
const FOUNDED_AMONG_EQUALS =
  "A node with trust.founding in its configuration runs no InitServer and takes no init: its cluster founds itself";
const CONNECT_DEADLINE_MS = 15_000;
/** A node whose power was cut says nothing any more. A node that is only slow, in emulation, answers within seconds. */
const KEEP_ALIVE_MS = 20_000;

/**
 * Dials a node's InitServer.
 *
 * @param endpoint `host:port`.
 * @param signal Ends the call.
 * @param recorded The record of the cluster, for the error's advice.
 * @throws {BootstrapError} `unavailable/name-resolution`, `unavailable/init-server`, and what `dial()` throws.
 */
export async function dialInitServer(
  endpoint: string,
  signal: AbortSignal,
  recorded?: ClusterRecord,
): Promise<DialledExchange<InitServerMessage, InitClientMessage>> {
  try {
    return await dial({
      method: InitServiceService.init,
      endpoint,
      signal,
      expected: { name: "the InitServer", usualPort: INIT_PORT, ifOther: FOUNDED_AMONG_EQUALS },
      connectDeadlineMs: CONNECT_DEADLINE_MS,
      keepAliveMs: KEEP_ALIVE_MS,
    });
  } catch (cause) {
    if (!(cause instanceof BootstrapError && cause.code === "unavailable/connection")) throw cause;
    const { host } = readEndpoint(endpoint, "endpoint");
    if (!await isResolved(host)) throw unresolvedName(host, cause);
    const lost = recorded?.state === "pending"
      ? `; if the machine of the init that began on ${recorded.time} is gone for good, give the cluster up: ` +
        `\`bootstrapper abandon ${recorded.clusterName}\``
      : "";
    throw new BootstrapError("unavailable/init-server", `No InitServer answers at ${endpoint}`, {
      cause,
      next:
        "Wait until the node has booted; a node that belongs to a cluster no longer has an InitServer, and one with " +
        "trust.founding in its configuration never has one, and its status says so: " +
        `\`bootstrapper status\` there${lost}`,
      details: { endpoint },
    });
  }
}
