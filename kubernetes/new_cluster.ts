/**
 * What can be computed of a new cluster's settings before a node is locked for it.
 *
 * @module
 */
import type { Problem } from "../platform/document.ts";
import type { Endpoint } from "../platform/endpoint.ts";
import { familyParts } from "../platform/dual_stack.ts";
import type { AddressFamily, Network } from "../platform/ip_address.ts";
import {
  addressBytes,
  doNetworksOverlap,
  familyOf,
  isInNetwork,
  readNetwork,
  unreachableKind,
  unreachablePartOf,
} from "../platform/ip_address.ts";
import type { ClusterSettings } from "./settings.ts";
import { KUBEADM_SERVICE_SUBNET, readApiEndpoint, readClusterSettings, RELEASE, subnetsOf } from "./settings.ts";

const API_SERVER_PORT = 6443;
const JOIN_SERVICE_PORT = 9444;
const INIT_PORT = 9443;
/** kubeadm reads `v1beta4`, and the time limits in it, since 1.31. */
export const OLDEST_MINOR = 31;

/**
 * Reads the cluster document of a new cluster. What clusters that are there may have is refused here if it cannot work:
 * old versions, networks that overlap or are too large or too small, and endpoints that no other node reaches.
 *
 * @throws {BootstrapError} `usage/document` with all problems, their lines, and the path of the first key.
 */
export function readNewClusterSettings(text: string, what?: string): ClusterSettings {
  return readClusterSettings(text, what, newClusterProblems);
}

/** What an operator should know of the settings of a new cluster, although they may work. */
export function clusterRemarks({ controlPlaneEndpoint, podSubnet }: ClusterSettings): readonly string[] {
  const endpoint = controlPlaneEndpoint === undefined ? undefined : readApiEndpoint(controlPlaneEndpoint);
  const port = typeof endpoint === "object" ? endpoint.port : undefined;
  return [
    ...(port === JOIN_SERVICE_PORT
      ? [
        `controlPlaneEndpoint has the port ${port}, which is the join service's: the API server's is ${API_SERVER_PORT}`,
      ]
      : []),
    ...(port === INIT_PORT
      ? [`controlPlaneEndpoint has the port ${port}, which is the InitServer's: the API server's is ${API_SERVER_PORT}`]
      : []),
    ...(podSubnet === undefined ? ["podSubnet is not set: no node gets a range of addresses for its Pods"] : []),
  ];
}

/**
 * The controller manager gives each node a range of this length (`node-cidr-mask-size-ipv4` and `-ipv6`), and manages at
 * most 16 bits of ranges (`PodSubnetNodeMaskMaxDiff` in kubeadm's `constants.go`).
 */
const NODE_LENGTH: Readonly<Record<AddressFamily, number>> = { 4: 24, 6: 64 };
const MOST_NODE_BITS = 16;
/** The API server's Services have at most 20 bits (`validateMaxCIDRRange` in its `options/validation.go`). */
const SHORTEST_SERVICES: Readonly<Record<AddressFamily, number>> = { 4: 12, 6: 108 };
/** kubeadm needs ten addresses of Services (`MinimumAddressesInServiceSubnet`). */
const LONGEST_SERVICES: Readonly<Record<AddressFamily, number>> = { 4: 28, 6: 124 };

/** Says what no new cluster may have in its settings. The text of each problem begins with its key. */
export function newClusterProblems(settings: ClusterSettings): readonly Problem[] {
  const { kubernetesVersion, serviceSubnet = KUBEADM_SERVICE_SUBNET, podSubnet, controlPlaneEndpoint } = settings;
  const services = subnetsOf(serviceSubnet);
  const pods = podSubnet === undefined ? [] : subnetsOf(podSubnet);
  const [, minor = ""] = RELEASE.exec(kubernetesVersion) ?? [];
  const problems: Problem[] = [];
  const note = (key: keyof ClusterSettings, text: string) => problems.push({ path: [key], text });
  if (Number(minor) < OLDEST_MINOR) {
    note(
      "kubernetesVersion",
      `kubernetesVersion ${kubernetesVersion} is too old: kubeadm reads v1beta4 documents and their timeouts since v1.${OLDEST_MINOR}`,
    );
  }
  const endpoint = controlPlaneEndpoint === undefined ? undefined : readApiEndpoint(controlPlaneEndpoint);
  if (typeof endpoint === "object") {
    for (const reason of endpointProblems(endpoint, services, pods)) {
      note("controlPlaneEndpoint", `controlPlaneEndpoint ${controlPlaneEndpoint} ${reason}`);
    }
  }
  if (podSubnet !== undefined) {
    for (const [text, network] of partsOf(podSubnet)) {
      for (const reason of podProblems(text, network)) note("podSubnet", `podSubnet ${text} ${reason}`);
    }
  }
  if (settings.serviceSubnet !== undefined) {
    for (const [text, network] of partsOf(serviceSubnet)) {
      for (const reason of serviceProblems(text, network)) note("serviceSubnet", `serviceSubnet ${text} ${reason}`);
    }
  }
  const ofServices = `${
    settings.serviceSubnet === undefined ? "the default serviceSubnet" : "serviceSubnet"
  } ${serviceSubnet}`;
  if (podSubnet !== undefined && pods.every(({ length }) => length > 0)) {
    const families = (networks: readonly Network[]) =>
      networks.map(({ family }) => `IPv${family}`).toSorted().join(" and ");
    const overlapping = pods.find(({ text }) => services.some((service) => doNetworksOverlap(text, service.text)));
    if (families(pods) !== families(services)) {
      note(
        "podSubnet",
        `podSubnet ${podSubnet} is ${families(pods)} and ${ofServices} is ${
          families(services)
        }: choose networks of one family, or of both families for both`,
      );
    } else if (overlapping !== undefined) {
      note("podSubnet", `podSubnet ${podSubnet} overlaps ${ofServices}: choose two networks that share no address`);
    }
  }
  return problems;
}

/** The networks of a setting, each with its text as it was written. */
function partsOf(text: string): readonly (readonly [text: string, network: Network])[] {
  const networks = subnetsOf(text);
  return familyParts(text).flatMap((part, index) => {
    const network = networks[index];
    return network === undefined ? [] : [[part, network] as const];
  });
}

function* endpointProblems(
  { host }: Endpoint,
  services: readonly [Network, ...Network[]],
  pods: readonly Network[],
): Generator<string> {
  if (host === "localhost" || host.endsWith(".localhost")) {
    yield "is each node itself: name an address or a name at which all nodes reach the API server";
  }
  const address = addressBytes(host);
  if (address === undefined) return;
  const kind = unreachableKind(address);
  if (kind === "loopback" || kind === "unspecified") {
    yield `is ${kind}, so each node would call itself: name an address at which all nodes reach the API server`;
  } else if (kind !== undefined) {
    yield `is ${kind}: name an address at which all nodes reach the API server`;
  } else if (familyOf(address) !== services[0].family) {
    yield `is IPv${familyOf(address)} and the Services' ${services.length > 1 ? "first " : ""}network ${
      services[0].text
    } is IPv${services[0].family}: use one family`;
  }
  for (const [networks, whose] of [[services, "Services"], [pods, "Pods"]] as const) {
    const network = networks.find(({ text }) => isInNetwork(address, text));
    if (network !== undefined) {
      yield `is in the network of the ${whose}, ${network.text}: name an address outside of it`;
    }
  }
}

function* podProblems(text: string, { family, length, text: written }: Network): Generator<string> {
  yield* commonProblems(text, written);
  const node = NODE_LENGTH[family];
  if (length === 0) return;
  if (length >= node) {
    yield `is too small: each node takes a /${node} of it, so write a shorter length, such as /${
      node - MOST_NODE_BITS / 2
    }`;
  } else if (node - length > MOST_NODE_BITS) {
    yield `is too large: at most ${MOST_NODE_BITS} bits may be between it and a node's /${node}, so write /${
      node - MOST_NODE_BITS
    } or longer`;
  }
}

function* serviceProblems(text: string, { family, length, text: written }: Network): Generator<string> {
  yield* commonProblems(text, written);
  if (length === 0) return;
  if (length < SHORTEST_SERVICES[family]) {
    yield `is too large: Services have at most 20 bits, so write /${SHORTEST_SERVICES[family]} or longer`;
  } else if (length > LONGEST_SERVICES[family]) {
    yield `is too small for the cluster's own Services: write /${LONGEST_SERVICES[family]} or shorter`;
  }
}

function* commonProblems(text: string, written: string): Generator<string> {
  const [given = "", length = ""] = text.split("/");
  const [start = ""] = written.split("/");
  if (addressBytes(given)?.toHex() !== addressBytes(start)?.toHex()) {
    yield `has bits set after /${length}: the network is ${written}`;
  }
  const special = unreachablePartOf(written);
  if (special !== undefined && length !== "0") yield `contains ${special} addresses: choose another network`;
  if (length === "0") yield "is every address: choose a private network, such as 10.244.0.0/16";
}

/** The addresses of a node in a new cluster. */
export interface NodeAddresses {
  readonly address: string;
  /** The address of the other family, in a cluster of both. */
  readonly secondAddress?: string;
  /**
   * The networks of the node's own interface, CIDR: none may lie within one of the cluster's. A larger one that contains
   * one of the cluster's works, as the longer prefix wins.
   */
  readonly networks?: readonly string[];
}

/**
 * Says why a node cannot be in a new cluster, as clauses: an address of it is in the network of the Pods or of the
 * Services, or its families are not those of the cluster.
 */
export function nodeNetworkProblems(
  { podSubnet, serviceSubnet = KUBEADM_SERVICE_SUBNET }: Pick<ClusterSettings, "podSubnet" | "serviceSubnet">,
  { address, secondAddress, networks = [] }: NodeAddresses,
): readonly string[] {
  const parts = [["serviceSubnet", serviceSubnet, "Services"], ["podSubnet", podSubnet, "Pods"]] as const;
  return parts.flatMap(([key, subnet, whose]) => {
    if (subnet === undefined) return [];
    const subnets = subnetsOf(subnet);
    const isBoth = subnets.length > 1;
    const problems: string[] = [];
    for (const [index, text] of [address, secondAddress].entries()) {
      if (text === undefined) continue;
      const bytes = addressBytes(text);
      if (bytes === undefined) {
        problems.push(`the node's address ${text} is none`);
        continue;
      }
      const family = familyOf(bytes);
      const isFirst = index === 0 && key === "serviceSubnet";
      if (isFirst ? family !== subnets[0].family : subnets.every((network) => network.family !== family)) {
        const seen = isFirst ? subnets[0].text : subnet;
        const remedy = index > 0
          ? "choose networks of both families in --cluster"
          : isBoth
          ? `write the IPv${subnets[0].family} address first in node.address or node.addressFrom`
          : `choose networks of IPv${family} in --cluster`;
        problems.push(
          `the node's address ${text} is IPv${family}, and ${key} ${seen} is IPv${subnets[0].family}: ${remedy}`,
        );
      } else if (subnets.some((network) => isInNetwork(bytes, network.text))) {
        problems.push(
          `the node's address ${text} is in ${key} ${subnet}, the network of the ${whose}: choose another network in --cluster`,
        );
      }
    }
    if (isBoth && secondAddress === undefined) {
      problems.push(
        `${key} ${subnet} is of both families, and the node has the address ${address} alone: name one of each family in node.address or node.addressFrom`,
      );
    }
    const within = networks.find((own) => subnets.some((network) => isNetworkIn(own, network)));
    if (problems.length > 0 || within === undefined) return problems;
    return [`${key} ${subnet} contains the nodes' network ${within}: choose another network in --cluster`];
  });
}

function isNetworkIn(text: string, outer: Network): boolean {
  const network = readNetwork(text);
  return typeof network !== "string" && network.length >= outer.length && isInNetwork(network.start, outer.text);
}
