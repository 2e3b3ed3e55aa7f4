/**
 * The names and addresses that a node may claim.
 *
 * A node's name and addresses are not part of its evidence, and they go into the certificate that its kubelet serves
 * with. That certificate is issued by the CA by which the whole cluster knows the API server, so they must not be the
 * API server's.
 *
 * @module
 */
import { refusal } from "../protocol/refusal.ts";
import type { AdmissionRecord } from "../kubernetes/admission_records.ts";
import { KUBEADM_SERVICE_SUBNET, readClusterSettings, subnetsOf } from "../kubernetes/settings.ts";
import { readEndpoint } from "../platform/endpoint.ts";
import type { BootstrapError } from "../platform/errors.ts";
import { familyParts } from "../platform/dual_stack.ts";
import { reservedNameProblem } from "../platform/label.ts";
import type { AddressFamily } from "../platform/ip_address.ts";
import { addressBytes, familyOf, isInNetwork, unreachableKind } from "../platform/ip_address.ts";

/** The names and addresses that belong to the cluster, and to none of its nodes. */
export interface ClusterNetwork {
  /** The addresses and DNS names at which nodes reach the API server, in lower case. */
  readonly apiHosts: readonly string[];
  /** The networks of the Services, CIDR. The first address of the first one is the API server's. */
  readonly serviceSubnets: readonly string[];
  /** The networks of the Pods, CIDR; none if the cluster's settings name none. */
  readonly podSubnets: readonly string[];
  /** The family of the nodes' first addresses: that of the first network of the Services. */
  readonly family: AddressFamily;
}

/** The claims of a node. */
export type Claims = Pick<AdmissionRecord, "nodeName" | "role" | "addresses">;

/**
 * Returns what the cluster keeps for itself.
 *
 * @param apiEndpoints `host:port`.
 * @param clusterDocument YAML: the cluster's settings.
 * @throws {BootstrapError} `usage/endpoint`, `usage/document`.
 */
export function clusterNetwork(apiEndpoints: readonly string[], clusterDocument: string): ClusterNetwork {
  const { serviceSubnet = KUBEADM_SERVICE_SUBNET, podSubnet } = readClusterSettings(clusterDocument);
  return {
    apiHosts: apiEndpoints.map((endpoint) => readEndpoint(endpoint, "apiEndpoints").host),
    serviceSubnets: familyParts(serviceSubnet),
    podSubnets: podSubnet === undefined ? [] : familyParts(podSubnet),
    family: subnetsOf(serviceSubnet)[0].family,
  };
}

/**
 * Checks a node's claims on their own. Whether another node has the same ones is known by the admission records.
 *
 * A control plane may have the API server's own address or name, if no other node has it. Without a load balancer they
 * are the first node's, and a control plane has the CA's key anyway.
 *
 * @throws {BootstrapError} `refused/node-name`, `refused/node-address`.
 */
export function checkClaims(
  { nodeName, role, addresses }: Claims,
  { apiHosts, serviceSubnets, podSubnets }: ClusterNetwork,
): void {
  const ofApi = role === "control-plane" ? [] : apiHosts;
  if (reservedNameProblem(nodeName) !== undefined || ofApi.includes(nodeName)) {
    throw refusal(
      "node-name",
      `No ${role} may have the name ${nodeName}: others know the API server by it`,
      "a name of its own",
      nodeName,
      "Give the machine another name: node.name in its configuration, or its host name",
    );
  }
  const apiAddresses = ofApi.flatMap((host) => addressBytes(host)?.join(".") ?? []);
  for (const address of addresses) {
    const bytes = addressBytes(address);
    if (bytes === undefined) throw wrongAddress(nodeName, address, "not an address");
    const what = unreachableKind(bytes);
    if (what !== undefined) throw wrongAddress(nodeName, address, what);
    for (const [networks, whose] of [[serviceSubnets, "Services"], [podSubnets, "Pods"]] as const) {
      const network = networks.find((one) => isInNetwork(bytes, one));
      if (network !== undefined) throw wrongAddress(nodeName, address, `in ${network}, the ${whose}'`);
    }
    if (apiAddresses.includes(bytes.join("."))) throw wrongAddress(nodeName, address, "the API server's endpoint");
  }
}

/**
 * Checks that the address by which others are to know a node that joins is of the cluster's first family. Members of the
 * other family are left alone: a renewal does not call this.
 *
 * @throws {BootstrapError} `refused/node-address`.
 */
export function checkFirstFamily({ nodeName, addresses }: Claims, { family, serviceSubnets }: ClusterNetwork): void {
  const families = addresses.map((address) => {
    const bytes = addressBytes(address);
    return bytes === undefined ? undefined : familyOf(bytes);
  });
  const [first] = families;
  if (first === undefined || first === family) return;
  const [address = ""] = addresses;
  throw wrongAddress(
    nodeName,
    address,
    `IPv${first}, and the cluster's nodes have IPv${family} addresses, as its Services have (${serviceSubnets[0]})`,
    families.includes(family)
      ? `Write the IPv${family} address first in node.address or node.addressFrom of the machine's configuration`
      : `Give the machine an IPv${family} address, and name it in node.address or node.addressFrom if it has both; ` +
        "or found a cluster of the other family",
  );
}

function wrongAddress(
  nodeName: string,
  address: string,
  what: string,
  next = "Give the machine an address of its own: node.address in its configuration, or on its interface",
): BootstrapError {
  return refusal(
    "node-address",
    `The address ${address} of ${nodeName} is ${what}`,
    "an address of its own that the other nodes can reach",
    address,
    next,
  );
}
