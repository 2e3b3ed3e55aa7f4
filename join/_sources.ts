/**
 * What a search uses of the answers for names, and what it says of them.
 *
 * @module
 */
import type { FollowedEndpoints } from "../platform/follow_endpoints.ts";
import { endpointText } from "../platform/endpoint.ts";
import { sourceText } from "../platform/endpoint_source.ts";
import { addressBytes, unreachableKind } from "../platform/ip_address.ts";
import type { Log } from "../platform/log.ts";
import type { NodeSelf } from "../protocol/node_self.ts";

/** Whether an address of an answer may be another machine's, or a tunnel's that begins on this one. */
export function isForeign(
  address: string,
  self: Pick<NodeSelf, "address" | "secondAddress">,
): boolean {
  const bytes = addressBytes(address);
  if (bytes === undefined) return false;
  const kind = unreachableKind(bytes);
  if (kind !== undefined && kind !== "loopback") return false;
  const own = [self.address, self.secondAddress].map((text) => text && addressBytes(text)?.toString());
  return !own.includes(bytes.toString());
}

/** Logs what has changed. A name that is not there yet is no fault: it may come with the cluster. */
export function noteSource(log: Log, { source, endpoints, leftOut, failure }: FollowedEndpoints): void {
  const fields = { source: sourceText(source), endpoints: endpoints.map(endpointText) };
  if (failure !== undefined) log.event("info", "join-endpoints-not-resolved", { ...fields, message: failure });
  else log.event("info", "join-endpoints-resolved", { ...fields, ...(leftOut === 0 ? {} : { leftOut }) });
}
