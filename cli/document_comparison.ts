/**
 * Compares the documents of one call of `config check` with each other: what no reader of one document can see.
 *
 * @module
 */
import type { Endpoint } from "../platform/endpoint.ts";
import type { EndpointSource } from "../platform/endpoint_source.ts";
import { isFollowed } from "../platform/endpoint_source.ts";
import { acceptedTrust, switchesNotAllowed } from "../attestation/policy/accepted_trust.ts";
import type { Policy } from "../attestation/policy/policy.ts";
import { checkNodeName } from "../attestation/policy/policy.ts";
import { nodeNetworkProblems } from "../kubernetes/new_cluster.ts";
import type { ClusterSettings } from "../kubernetes/settings.ts";
import { KUBEADM_SERVICE_SUBNET, readApiEndpoint, subnetsOf } from "../kubernetes/settings.ts";
import type { NodeConfiguration } from "../node/configuration.ts";
import { equalBytes, hex } from "../platform/bytes.ts";
import { addressBytes, doNetworksOverlap, isInNetwork } from "../platform/ip_address.ts";
import { keyPath } from "../platform/schema_problems.ts";
import type { CheckedFile, Finding } from "./document_check.ts";

type Path = readonly (string | number)[];

/** A node's configuration, and how to note what is found in it. */
interface Node {
  readonly file: string;
  readonly configuration: NodeConfiguration;
  readonly problem: (key: Path, message: string) => void;
  readonly remark: (key: Path, message: string) => void;
}

/**
 * Adds what is found by comparing files. Names, addresses and trust are compared among the nodes of clusters of one name. With
 * one cluster document, or one policy, nodes are compared with it if all are of one cluster.
 */
export function compareDocuments(files: readonly CheckedFile[]): readonly CheckedFile[] {
  const found = files.map(() => ({ problems: [] as Finding[], remarks: [] as Finding[] }));
  const nodes = files.flatMap((checked, index): readonly Node[] => {
    const { document, file } = checked;
    if (document?.kind !== "node") return [];
    const into = (list: Finding[] | undefined) => (path: Path, message: string) =>
      void list?.push({ line: checked.lineOf?.(path) ?? 1, key: keyPath(path), message });
    const notes = found[index];
    return [{
      file,
      configuration: document.configuration,
      problem: into(notes?.problems),
      remark: into(notes?.remarks),
    }];
  });
  for (const node of nodes) compareWithItself(node);
  compareNodes(nodes);
  const isOneCluster = new Set(nodes.map(({ configuration }) => configuration.trust.clusterName)).size === 1;
  if (isOneCluster) {
    const [settings, ...otherSettings] = files.flatMap(({ document, file }) =>
      document?.kind === "cluster" ? [{ file, settings: document.settings }] : []
    );
    const [policy, ...otherPolicies] = files.flatMap(({ document, file }) =>
      document?.kind === "policy" ? [{ file, policy: document.policy }] : []
    );
    for (const node of nodes) {
      if (settings !== undefined && otherSettings.length === 0) compareWithCluster(node, settings);
      if (policy !== undefined && otherPolicies.length === 0) compareWithPolicy(node, policy);
    }
  }
  return files.map((checked, index) => ({
    ...checked,
    problems: [...checked.problems, ...found[index]?.problems ?? []],
    remarks: [...checked.remarks, ...found[index]?.remarks ?? []],
  }));
}

/** Says that a worker looks for a join service at its own address, where none will be. */
function compareWithItself({ configuration, remark }: Node): void {
  const { node, join } = configuration;
  if (node.role !== "worker") return;
  for (const [index, { host }] of namedEndpoints(join.endpoints)) {
    if (!addressesOf(configuration).some((own) => isSameAddress(own, host))) continue;
    remark(["join", "endpoints", index], "it is this node's own address, and a worker has no join service");
  }
}

function compareNodes(nodes: readonly Node[]): void {
  nodes.forEach((node, index) => {
    for (const earlier of nodes.slice(0, index)) {
      if (earlier.configuration.trust.clusterName === node.configuration.trust.clusterName) comparePair(node, earlier);
    }
  });
}

function comparePair({ configuration, problem, remark }: Node, { file, configuration: other }: Node): void {
  const { node, trust } = configuration;
  if (node.name !== undefined && node.name === other.node.name) {
    problem(["node", "name"], `${file} has the same name, and a name is of one node`);
  }
  const theirs = addressesOf(other);
  const shared = addressesOf(configuration).find((own) => theirs.some((one) => isSameAddress(own, one)));
  if (shared !== undefined) {
    problem(["node", "address"], `${file} has the same address ${shared}, and an address is of one node`);
  }
  const { clusterName } = trust;
  const [id, otherId] = [trust.clusterId, other.trust.clusterId];
  if (id.length > 0 && otherId.length > 0 && !equalBytes(id, otherId)) {
    remark(["trust", "clusterId"], `${file} has another one for a cluster of the same name, ${clusterName}`);
  }
  const keysOf = (keys: readonly Uint8Array[]) => keys.map(hex).toSorted().join();
  if (keysOf(trust.operatorKeys) !== keysOf(other.trust.operatorKeys)) {
    remark(
      ["trust", "operatorKeys"],
      `${file} has others for the cluster ${clusterName}: its nodes obey the same ones`,
    );
  }
  const [founding, otherFounding] = [trust.founding, other.trust.founding];
  const isSameFounding = founding === undefined || otherFounding === undefined ||
    (founding.size === otherFounding.size && equalBytes(founding.tokenKey, otherFounding.tokenKey) &&
      equalBytes(founding.policyDigest, otherFounding.policyDigest));
  if (!isSameFounding) {
    remark(["trust", "founding"], `${file} has another one: it must be the same on every node of ${clusterName}`);
  }
}

function addressesOf({ node }: NodeConfiguration): readonly string[] {
  return [node.address, node.secondAddress].filter((address) => address !== undefined);
}

function isSameAddress(one: string, other: string): boolean {
  const [first, second] = [addressBytes(one), addressBytes(other)];
  return first !== undefined && second !== undefined && equalBytes(first, second);
}

interface Cluster {
  readonly file: string;
  readonly settings: ClusterSettings;
}

function compareWithCluster({ configuration, problem }: Node, { file, settings }: Cluster): void {
  const { node, join } = configuration;
  if (node.address !== undefined) {
    const addresses = {
      address: node.address,
      ...(node.secondAddress === undefined ? {} : { secondAddress: node.secondAddress }),
    };
    for (const message of nodeNetworkProblems(settings, addresses)) {
      problem(["node", "address"], `in the cluster of ${file}, ${message.replaceAll("--cluster", file)}`);
    }
  }
  const networks = [
    ...subnetsOf(settings.serviceSubnet ?? KUBEADM_SERVICE_SUBNET).map(({ text }) => ({ text, whose: "Services" })),
    ...(settings.podSubnet === undefined ? [] : subnetsOf(settings.podSubnet)).map(({ text }) => ({
      text,
      whose: "Pods",
    })),
  ];
  for (const own of [node.addressFrom, node.secondAddressFrom].filter((one) => one !== undefined)) {
    const network = networks.find(({ text }) => doNetworksOverlap(own, text) && !own.endsWith("/0"));
    if (network === undefined) continue;
    problem(["node", "addressFrom"], `it overlaps the network of the ${network.whose} in ${file}, ${network.text}`);
  }
  for (const [index, { host }] of namedEndpoints(join.endpoints)) {
    const address = addressBytes(host);
    const network = address && networks.find(({ text }) => isInNetwork(address, text));
    if (network === undefined) continue;
    problem(["join", "endpoints", index], `it is in the network of the ${network.whose} in ${file}, ${network.text}`);
  }
  const endpoint = settings.controlPlaneEndpoint === undefined ? "" : readApiEndpoint(settings.controlPlaneEndpoint);
  const host = typeof endpoint === "string" ? "" : endpoint.host;
  if (node.role === "worker" && addressesOf(configuration).some((own) => isSameAddress(own, host))) {
    problem(["node", "address"], `it is the controlPlaneEndpoint of ${file}, and this node is a worker`);
  }
}

function compareWithPolicy(
  { configuration, problem }: Node,
  { file, policy }: { readonly file: string; readonly policy: Policy },
): void {
  const { trust, node } = configuration;
  const accepted = (["node", "init"] as const).map((peer) => acceptedTrust(policy, peer));
  const fitting = accepted.filter(({ variants }) => variants.join() === trust.variants.join());
  if (fitting.length === 0) {
    const wanted = [...new Set(accepted.map(({ variants }) => variants.join(", ")))].join(" or ");
    problem(
      ["evidence", "variant"],
      `the policy ${file} wants ${wanted}, and this node shows ${trust.variants.join(", ")}`,
    );
  }
  const [refused] = fitting.map((one) => switchesNotAllowed(one, trust.switches)).toSorted((a, b) =>
    a.length - b.length
  );
  for (const name of refused ?? []) problem([name], `the policy ${file} does not allow it`);
  const { name } = node;
  if (
    name === undefined || [...policy.names.byIdentity.keys(), ""].some((identity) => isAllowed(policy, identity, name))
  ) {
    return;
  }
  problem(["node", "name"], `no pattern in names of the policy ${file} allows ${name}`);
}

function isAllowed(policy: Policy, identity: string, name: string): boolean {
  try {
    checkNodeName(policy, identity, name);
    return true;
  } catch {
    return false;
  }
}

/** The endpoints that are named; what a name in DNS has is not known here. */
function namedEndpoints(sources: readonly EndpointSource[]): readonly (readonly [index: number, endpoint: Endpoint])[] {
  return sources.flatMap((source, index) => isFollowed(source) ? [] : [[index, source] as const]);
}
