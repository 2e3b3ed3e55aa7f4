/**
 * Searches for a ticket at names, and prints what is known of them as JSON, one line for each change.
 *
 * @module
 */
import { TicketSearch } from "../../../join/ticket_search.ts";
import { systemClock } from "../../../platform/clock.ts";
import { endpointText } from "../../../platform/endpoint.ts";
import { readEndpointSource, sourceText } from "../../../platform/endpoint_source.ts";
import { silentLog } from "../../../platform/log.ts";
import { newNode, TestCluster } from "../../exchanges/join_world.ts";

const print = (value: unknown) => void Deno.stdout.writeSync(new TextEncoder().encode(`${JSON.stringify(value)}\n`));
const [own = "", ...sources] = Deno.args;
await using cluster = await TestCluster.create();
await new TicketSearch({
  endpoints: sources.map((text) => readEndpointSource(text, text)),
  node: await newNode(cluster.trust, { self: { name: "worker-1", address: own, role: "worker" } }),
  clock: systemClock,
  log: silentLog,
  onSource: ({ source, endpoints, leftOut, failure }) =>
    print({
      source: sourceText(source),
      endpoints: endpoints.map(endpointText),
      leftOut,
      failed: failure !== undefined,
    }),
  onFailure: ({ endpoint, error: { code } }) => print({ refused: endpoint, code }),
}).run(new AbortController().signal);
