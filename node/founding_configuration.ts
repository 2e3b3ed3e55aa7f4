/**
 * What a node's configuration says of founding among equals.
 *
 * @module
 */
import { combinedName } from "../attestation/combined.ts";
import type { EvidenceKind } from "../attestation/kind.ts";
import { acceptedTrust, switchesNotAllowed } from "../attestation/policy/accepted_trust.ts";
import type { Policy } from "../attestation/policy/policy.ts";
import { pinsControlPlanes, readPolicy } from "../attestation/policy/policy.ts";
import { readClusterSettings } from "../kubernetes/settings.ts";
import type { NodeRole } from "../kubernetes/node_role.ts";
import type { Bytes } from "../platform/bytes.ts";
import { sha256Now, utf8 } from "../platform/bytes.ts";
import type { Problem } from "../platform/document.ts";
import { keyPath } from "../platform/document.ts";
import type { Endpoint } from "../platform/endpoint.ts";
import { endpointIdentity, readEndpoint, readListenAddress } from "../platform/endpoint.ts";
import { asBootstrapError } from "../platform/errors.ts";
import { present } from "../platform/present.ts";
import { readYaml } from "../platform/yaml.ts";
import { canonicalJson } from "../protocol/canonical_json.ts";
import { readTokenKey } from "../protocol/founding_token.ts";
import type { FoundingTrust, InsecureSwitch } from "../protocol/transcript.ts";
import type { FoundingDocument, FoundingTrustDocument } from "./founding_schema.ts";
import { FOUNDING_ETCD_PORT, FOUNDING_PORT } from "./founding_schema.ts";

export { FOUNDING_ETCD_PORT, FOUNDING_PORT } from "./founding_schema.ts";

/** Where a founder finds the others: at these FoundingServers, or at every address of a name. */
export type FoundingDiscovery =
  | { readonly by: "peers"; readonly peers: readonly Endpoint[] }
  | { readonly by: "dns"; readonly name: Endpoint };

/** How a node takes part in a founding among equals. */
export interface FoundingConfiguration {
  /** Where the other founders' etcd reaches this one. Default: the node's own address, port {@linkcode FOUNDING_ETCD_PORT}. */
  readonly address?: Endpoint;
  /** Where the FoundingServer listens. */
  readonly listen: Endpoint;
  readonly discovery: FoundingDiscovery;
  /** The settings of the cluster, if this machine is decided on: the text of a cluster file. Default: kubeadm's own. */
  readonly clusterDocument?: string;
}

/** The policy for founders. */
export interface FoundingPolicy {
  /** The document as it is written, as canonical JSON, which `readPolicy()` takes. */
  readonly document: string;
  /** SHA-256 of the document, 32 bytes. */
  readonly digest: Bytes;
}

/** The parts of a configuration that its founding must fit. */
export interface FoundingSurroundings {
  readonly trust: {
    readonly clusterId?: string;
    readonly operatorKeys: readonly string[];
    readonly founding?: FoundingTrustDocument;
  };
  readonly node?: { readonly role?: NodeRole };
  readonly init?: { readonly enabled?: boolean };
  readonly founding?: FoundingDocument;
}

/** The settings of evidence that a configuration has. */
export interface FoundingEvidence {
  readonly variants: readonly string[];
  readonly switches: readonly InsecureSwitch[];
  /** The kinds that prove nothing. */
  readonly insecure: readonly string[];
}

/** Ports that another part of a control plane has: the API server, etcd, its other programs, the join service. */
const OTHER_PORTS: readonly number[] = [2379, 2380, 6443, 9444, 10_250, 10_257, 10_259];
const JOIN_SERVICE_PORT = 9444;
const POLICY_PATH = ["trust", "founding", "policy"] as const;

/** Returns what does not fit together in a configuration's founding. */
export function foundingProblems(
  document: FoundingSurroundings,
  evidence: FoundingEvidence,
  policy: Policy | undefined,
): readonly Problem[] {
  const { trust: { founding: trusted, operatorKeys }, founding: own, init } = document;
  const found: Found = [];
  // Who knows the cluster ID needs no founding, so machines of a cluster that no operator founded may have no operator.
  if (operatorKeys.length === 0 && trusted === undefined && document.trust.clusterId === undefined) {
    found.push([["trust", "operatorKeys"], "at least one operator key is needed: `bootstrapper keygen` makes one"]);
  }
  if (trusted !== undefined && init?.enabled === true) {
    const reason =
      "with trust.founding the cluster is founded among equals, and no InitServer starts: remove one of the two";
    found.push([["init", "enabled"], reason]);
  }
  if (trusted !== undefined) found.push(...trustProblems(trusted, policy));
  if (own !== undefined) found.push(...localProblems(document, own), ...founderProblems(evidence, policy));
  return found.map(([path, reason]) => ({ path, text: `${keyPath(path)}: ${reason}` }));
}

type Found = (readonly [path: Problem["path"], reason: string])[];

function trustProblems({ policy: written, tokenKey }: FoundingTrustDocument, policy: Policy | undefined): Found {
  if (written === undefined && tokenKey === undefined) {
    const reason = "it needs a policy, which says whose evidence is a founder's, or a tokenKey, which " +
      "`bootstrapper token new --founding` prints, or both";
    return [[["trust", "founding"], reason]];
  }
  if (policy === undefined) return [];
  const { required: { node: kinds } } = policy;
  const found: Found = [];
  if (!pinsControlPlanes(policy)) {
    const reason =
      "it admits machines that it does not pin: list the founders in roles.controlPlanes, or pin machines in " +
      `the section ${kinds.map(({ name }) => name).join(" or ")}`;
    found.push([POLICY_PATH, reason]);
  }
  const isLasting = kinds[0]?.hasEndorsementKey === true;
  if (isLasting && policy.controlPlanes.size === 0) {
    const reason =
      "it must list the founders' identities in roles.controlPlanes: a machine that it does not list is a worker";
    found.push([[...POLICY_PATH, "roles", "controlPlanes"], reason]);
  }
  if (tokenKey === undefined && !isLasting) {
    const name = combinedName(kinds.map(({ name }) => name));
    const reason =
      `it needs a tokenKey too: machines of the variant "${name}" get a new identity at each start, which no policy can list`;
    found.push([["trust", "founding"], reason]);
  }
  return found;
}

function localProblems({ trust, node }: FoundingSurroundings, own: FoundingDocument): Found {
  const found: Found = [];
  if (trust.founding === undefined) {
    found.push([["founding"], "it goes only with trust.founding, which says who founds the cluster"]);
  }
  if (trust.clusterId !== undefined) {
    found.push([
      ["founding"],
      "a node whose trust.clusterId names its cluster can only join it: remove one of the two",
    ]);
  }
  if ((own.peers === undefined) === (own.dns === undefined)) {
    found.push([
      ["founding"],
      "it must have either peers, the other founders' addresses, or dns, a name with all of them",
    ]);
  }
  if (own.cluster !== undefined && own.clusterFile !== undefined) {
    found.push([["founding", "clusterFile"], "founding.cluster has the cluster's settings too: leave one of them out"]);
  }
  if (node?.role === "worker") found.push([["node", "role"], "a founder is a control plane: leave it out"]);
  return [...found, ...peerProblems(own.peers ?? []), ...addressProblems(own)];
}

function peerProblems(peers: readonly string[]): Found {
  const seen = new Map<string, string>();
  return peers.flatMap((text, index) => {
    const path = ["founding", "peers", index];
    const peer = endpointIdentity(readEndpoint(text, keyPath(path), FOUNDING_PORT));
    const earlier = seen.get(peer);
    seen.set(peer, keyPath(path));
    return earlier === undefined ? [] : [[path, `it is the same founder as ${earlier}`] as const];
  });
}

function addressProblems({ address, listen }: FoundingDocument): Found {
  if (address === undefined) return [];
  const { port } = readEndpoint(address, "founding.address", FOUNDING_ETCD_PORT);
  const isTaken = OTHER_PORTS.includes(port) || port === listenAddress(listen).port;
  const reason = `a control plane uses port ${port} for something else: use ${FOUNDING_ETCD_PORT}, or another free one`;
  return isTaken ? [[["founding", "address"], reason]] : [];
}

/** What keeps every machine with this configuration from being a founder by its own policy. */
function founderProblems({ variants, switches, insecure }: FoundingEvidence, policy: Policy | undefined): Found {
  if (policy === undefined) {
    const reason = `without trust.founding.policy nobody looks at evidence: write ${insecure.join(" or ")}, and ` +
      "allowInsecure: true beside it";
    return variants.every((name) => insecure.includes(name)) ? [] : [[["evidence", "variant"], reason]];
  }
  const expected = policy.required.node.map(({ name }) => name);
  if (expected.join() !== variants.join()) {
    const reason = `trust.founding.policy has the variant ${expected.join(", ")}, and this founder shows ${
      variants.join(", ")
    }`;
    return [[["evidence", "variant"], reason]];
  }
  return switchesNotAllowed(acceptedTrust(policy, "node"), switches).map((name) =>
    [[name], "trust.founding.policy does not allow it, so no other founder would take this one"] as const
  );
}

/**
 * Reads the policy for founders, as it is written.
 *
 * @param text The configuration, which satisfies its schema and has the policy.
 * @param what The configuration's name, for errors.
 * @throws {BootstrapError} `malformed/json-value`, `usage/document`.
 */
export function readFoundingPolicy(
  text: string,
  what: string,
  kinds: readonly EvidenceKind[],
): FoundingPolicy & { readonly policy: Policy } {
  const written = POLICY_PATH.reduce<unknown>(
    (value, key) => typeof value === "object" && value !== null ? Reflect.get(value, key) : undefined,
    readYaml(text),
  );
  const name = `${keyPath(POLICY_PATH)} of ${what}`;
  const document = canonicalJson(written, name);
  return { document, digest: sha256Now(utf8(document)), policy: readPolicy(document, name, kinds) };
}

/** Returns the problem with a policy that cannot be read, at its place in the configuration. */
export function policyProblem(error: unknown): Problem {
  return { path: POLICY_PATH, text: `${keyPath(POLICY_PATH)}: ${asBootstrapError(error).message}` };
}

/** Returns the part of a trust part that is about founding. */
export function foundingTrust(
  { size, tokenKey }: FoundingTrustDocument,
  policy: FoundingPolicy | undefined,
): FoundingTrust {
  return {
    size,
    policyDigest: policy?.digest ?? new Uint8Array(),
    tokenKey: tokenKey === undefined ? new Uint8Array() : readTokenKey(tokenKey, "trust.founding.tokenKey"),
  };
}

/** Returns how a node takes part, from a document without problems. */
export function foundingConfiguration(
  { address, listen, peers, dns, cluster, clusterFile }: FoundingDocument,
): FoundingConfiguration {
  const discovery: FoundingDiscovery = dns === undefined
    ? {
      by: "peers",
      peers: (peers ?? []).map((text, index) => readEndpoint(text, `founding.peers[${index}]`, FOUNDING_PORT)),
    }
    : { by: "dns", name: readEndpoint(dns, "founding.dns", FOUNDING_PORT) };
  return {
    ...present(
      "address",
      address === undefined ? undefined : readEndpoint(address, "founding.address", FOUNDING_ETCD_PORT),
    ),
    listen: listenAddress(listen),
    discovery,
    ...present("clusterDocument", cluster === undefined ? clusterFile : JSON.stringify(cluster)),
  };
}

function listenAddress(listen: string | undefined): Endpoint {
  return readListenAddress(listen ?? `0.0.0.0:${FOUNDING_PORT}`, "founding.listen");
}

/** Returns the join services that a founder asks whose configuration names none: those of the other founders' machines. */
export function foundersJoinServices({ discovery }: FoundingConfiguration): readonly Endpoint[] {
  const founders = discovery.by === "dns" ? [discovery.name] : discovery.peers;
  const hosts = new Set(founders.map(({ host }) => host));
  return [...hosts].map((host) => ({ host, port: JOIN_SERVICE_PORT }));
}

/** What a person should know of the endpoint of a cluster to be. */
export function endpointRemarks(
  { size }: FoundingTrust,
  { clusterDocument }: FoundingConfiguration,
): readonly string[] {
  const hasEndpoint = clusterDocument !== undefined &&
    readClusterSettings(clusterDocument).controlPlaneEndpoint !== undefined;
  if (size === 1 || hasEndpoint) return [];
  return [
    "founding.cluster.controlPlaneEndpoint is not set: the API server's endpoint is then the address of the machine that " +
    "is decided on, and is lost with it",
  ];
}

/** What a person should know of a founding's size. */
export function sizeRemarks({ size }: FoundingTrust): readonly string[] {
  if (size % 2 === 1) return [];
  return [
    `trust.founding.size: ${size} control planes bear the loss of no more of them than ${
      size - 1
    } do: an odd number is better`,
  ];
}
