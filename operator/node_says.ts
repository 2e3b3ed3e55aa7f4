/**
 * What a node says of itself before it is verified, compared with what the operator asked for. It proves nothing: it
 * finds typing errors before anything is signed for ever.
 *
 * @module
 */
import { readEndpoint } from "../platform/endpoint.ts";
import { BootstrapError } from "../platform/errors.ts";
import { addressBytes } from "../platform/ip_address.ts";
import type { NodeSays } from "./exchange_client.ts";

/**
 * Checks that the node is configured for the cluster that the operator named.
 *
 * @throws {BootstrapError} `refused/cluster-name`.
 */
export function checkClusterName(expected: string, { clusterName }: NodeSays): void {
  if (clusterName === undefined || clusterName === expected) return;
  throw new BootstrapError(
    "refused/cluster-name",
    `The node is configured for the cluster ${clusterName}, and the name given here is ${expected}`,
    {
      next: `Give --name ${clusterName}, or correct trust.clusterName in the node's configuration. Nothing was signed`,
      details: { check: "cluster-name", expected, seen: clusterName },
    },
  );
}

/**
 * Says that other nodes are to reach the node by another address than the operator has, as is the case with an interface
 * behind NAT. `undefined` if they are the same, or if the operator called a name.
 *
 * @param endpoint `host:port` that the operator called.
 */
export function addressRemark(endpoint: string, { nodeAddress }: NodeSays): string | undefined {
  const called = readEndpoint(endpoint, "the node's endpoint").host;
  const [own, seen] = [nodeAddress, called].map((text) => addressBytes(text ?? "")?.toString());
  if (own === undefined || seen === undefined || own === seen) return undefined;
  return `Other nodes are to reach this node by ${nodeAddress}, and you called it at ${called}. If they cannot, stop this ` +
    "init, and set node.addressFrom in the node's configuration to the network of the nodes";
}
