/**
 * A node's configuration: the operators it obeys, its name, the evidence it gives, and where it finds its cluster.
 *
 * Nothing in it is secret.
 *
 * @module
 */
import type { NodeRole } from "../kubernetes/node_role.ts";
import { registrationOf } from "./registration_schema.ts";
import { combinedName } from "../attestation/combined.ts";
import type { EvidenceKind } from "../attestation/kind.ts";
import { defaultKind, exclusivePair, insecureNames, kindNamed } from "../attestation/kind.ts";
import { KINDS } from "../attestation/kinds.ts";
import type { EkType } from "../attestation/kinds/tpm/templates.ts";
import type { ClusterTrust, InsecureSwitch, TrustPart } from "../protocol/transcript.ts";
import { INSECURE_SWITCHES } from "../protocol/transcript.ts";
import { readClusterId } from "../certificate/cluster_id.ts";
import { readOperatorKey } from "../certificate/operator_key.ts";
import type { Bytes } from "../platform/bytes.ts";
import { hex } from "../platform/bytes.ts";
import { familyParts } from "../platform/dual_stack.ts";
import type { Problem } from "../platform/document.ts";
import { DocumentError, keyPath, placedProblems } from "../platform/document.ts";
import type { ConfigurationDocument } from "./configuration_schema.ts";
import { newNodeProblems, readConfigurationDocument } from "./configuration_schema.ts";
import type { FoundingConfiguration, FoundingPolicy } from "./founding_configuration.ts";
import {
  endpointRemarks,
  foundersJoinServices,
  foundingConfiguration,
  foundingProblems,
  foundingTrust,
  policyProblem,
  readFoundingPolicy,
  sizeRemarks,
} from "./founding_configuration.ts";
import type { MetadataConfiguration, MetadataField } from "./metadata/values.ts";
import type { Endpoint } from "../platform/endpoint.ts";
import { endpointIdentity, endpointText, readListenAddress } from "../platform/endpoint.ts";
import type { EndpointSource } from "../platform/endpoint_source.ts";
import { isFollowed, readEndpointSource, sourceText } from "../platform/endpoint_source.ts";
import { addressBytes, familyOf } from "../platform/ip_address.ts";
import { present } from "../platform/present.ts";

/** The port on which the InitServer listens unless the configuration says otherwise. */
const INIT_PORT = 9443;

const DEFAULT_EK_TYPE: EkType = "rsa2048";

/** The evidence that a node gives. */
export interface EvidenceConfiguration {
  /** The kinds of evidence that the node makes, in the order of the policy. The first one gives the node's identity. */
  readonly kinds: readonly EvidenceKind[];
  /** The endorsement key that is the node's identity. Used only by kinds that have one. */
  readonly ekType: EkType;
}

/** Whether a node's evidence proves nothing, because one of its kinds is insecure. */
export function isInsecure({ kinds }: Pick<EvidenceConfiguration, "kinds">): boolean {
  return kinds.some((kind) => kind.isInsecure === true);
}

/** A node's configuration. */
export interface NodeConfiguration {
  /** The cluster and the operators that the node obeys, and its settings of evidence. It is measured into PCR 12. */
  readonly trust: TrustPart;
  /** The node itself. Without `name` or `address`, the node uses the machine's own. */
  readonly node: {
    readonly name?: string;
    readonly address?: string;
    /** The address of the other family, in a cluster of both. */
    readonly secondAddress?: string;
    /** The network in which the machine's own address is, CIDR. */
    readonly addressFrom?: string;
    /** The network of the other family in which the machine's second address is, CIDR. */
    readonly secondAddressFrom?: string;
    readonly role: NodeRole;
    /** What kubeadm's `nodeRegistration` gets: labels and taints. */
    readonly registration?: Readonly<Record<string, unknown>>;
  };
  readonly evidence: EvidenceConfiguration;
  /** How the node takes part in a founding among equals; absent if it only joins, or an operator founds its cluster. */
  readonly founding?: FoundingConfiguration;
  /** The policy for founders; absent if the trust part has none. */
  readonly foundingPolicy?: FoundingPolicy;
  /**
   * Whether the InitServer runs, and where it listens. It never runs when a cluster ID or `trust.founding` is
   * configured.
   */
  readonly init: { readonly enabled: boolean; readonly listen?: Endpoint };
  /** The join services to try; by default those of the other founders. Empty only if the InitServer runs. */
  readonly join: { readonly endpoints: readonly EndpointSource[] };
  /** What the node takes from its machine's metadata; absent if nothing. It has no value of its own for these. */
  readonly metadata?: MetadataConfiguration;
  /** Whether the node bootstraps even if the code that the image runs before the bootstrapper is not fully measured. */
  readonly allowUnmeasuredImage: boolean;
}

/**
 * Reads a node's configuration. It takes what members may have from a time when it was allowed;
 * {@linkcode configurationRemarks} names it.
 *
 * @param text YAML, version 1 (see `deploy/node-worker.example.yaml`).
 * @param what The path that the text comes from, for errors.
 * @param kinds The known kinds of evidence.
 * @throws {BootstrapError} `usage/document` for unknown or missing keys and wrong values; `usage/configuration` for
 *   impossible combinations. Both name all problems, and carry the path of the first key as `key` in their details.
 */
export function readNodeConfiguration(
  text: string,
  what: string,
  kinds: readonly EvidenceKind[] = KINDS,
): NodeConfiguration {
  return readConfiguration(text, what, kinds, () => []);
}

/**
 * Reads the configuration of a fresh node, as {@linkcode readNodeConfiguration} does. It refuses names that no node may
 * have, and addresses that cannot be reached.
 *
 * @throws {BootstrapError} The same as `readNodeConfiguration()`.
 */
export function readNewNodeConfiguration(
  text: string,
  what: string,
  kinds: readonly EvidenceKind[] = KINDS,
): NodeConfiguration {
  return readConfiguration(text, what, kinds, newNodeProblems);
}

/**
 * What a person should know of a configuration: what no fresh node may have, if the node is locked, and a number of
 * founders that is even.
 */
export function configurationRemarks(
  { node, join, trust, founding }: Pick<NodeConfiguration, "node" | "join" | "trust" | "founding">,
): readonly string[] {
  const { address, discovery } = founding ?? {};
  const endpoints = join.endpoints.map(sourceText);
  const peers = discovery?.by === "peers" ? discovery.peers.map(endpointText) : [];
  const own = { peers, ...present("address", address === undefined ? undefined : endpointText(address)) };
  return [
    ...newNodeProblems({ node, join: { endpoints }, founding: own }).map(({ text }) => text),
    ...(trust.founding === undefined ? [] : sizeRemarks(trust.founding)),
    ...(trust.founding === undefined || founding === undefined ? [] : endpointRemarks(trust.founding, founding)),
  ];
}

function readConfiguration(
  text: string,
  what: string,
  kinds: readonly EvidenceKind[],
  check: (document: ConfigurationDocument) => readonly Problem[],
): NodeConfiguration {
  let policy: FoundingPolicy | undefined;
  const document = readConfigurationDocument(text, what, kinds, (document) => {
    const settings = {
      variants: variantNames(document, kinds),
      switches: readSwitches(document),
      insecure: insecureNames(kinds),
    };
    if (document.trust.founding?.policy === undefined) {
      return [...foundingProblems(document, settings, undefined), ...check(document)];
    }
    try {
      const { policy: read, ...written } = readFoundingPolicy(text, what, kinds);
      policy = written;
      return [...foundingProblems(document, settings, read), ...check(document)];
    } catch (error) {
      return [policyProblem(error), ...foundingProblems(document, settings, undefined), ...check(document)];
    }
  });
  return completed(document, policy, { text, what }, kinds);
}

function completed(
  document: ConfigurationDocument,
  policy: FoundingPolicy | undefined,
  source: { readonly text: string; readonly what: string },
  kinds: readonly EvidenceKind[],
): NodeConfiguration {
  const problems: Problem[] = [];
  const fail: Fail = (key, reason) => void problems.push({ path: pathOf(key), text: `${key}: ${reason}` });
  const trust = readTrust(document, policy, kinds, fail);
  const init = readInit(document, trust, fail);
  const founding = document.founding === undefined ? undefined : foundingConfiguration(document.founding);
  const named = readEndpoints(document.join?.endpoints ?? [], fail);
  const endpoints = named.length === 0 && founding !== undefined ? foundersJoinServices(founding) : named;
  for (const [key, reason] of metadataConflicts(document)) fail(key, reason);
  const mayComeLater = document.metadata?.use.includes("endpoints") === true;
  if (!init.enabled && endpoints.length === 0 && !mayComeLater) {
    fail("join.endpoints", "at least one is needed, as this node runs no InitServer and could never become a member");
  }
  const { name, address, addressFrom, role = founding === undefined ? "worker" : "control-plane" } = document.node ??
    {};
  if (address !== undefined && addressFrom !== undefined) {
    fail("node.addressFrom", "node.address names the address already: remove one of the two");
  }
  const [firstAddress, secondAddress] = address === undefined ? [] : familyParts(address);
  const [firstNetwork, secondNetwork] = addressFrom === undefined ? [] : familyParts(addressFrom);
  const evidence = readEvidence(document, kinds, fail);
  // Where the token alone founds, whoever shows it is a control plane. A machine that was made later knows the cluster ID,
  // and no operator.
  const isLater = trust.clusterId.length > 0 && trust.operatorKeys.length === 0;
  const mayShowToken = (trust.founding !== undefined && policy === undefined) || isLater;
  if (isInsecure(evidence) && role === "control-plane" && !init.enabled && !mayShowToken) {
    const variant = combinedName(evidence.kinds.map((kind) => kind.name));
    fail("node.role", `no join service makes a node without evidence (evidence.variant "${variant}") a control plane`);
  }
  if (problems.length > 0) throw impossible(source, problems);
  return {
    trust,
    node: {
      role,
      ...present("name", name),
      ...present("address", firstAddress),
      ...present("secondAddress", secondAddress),
      ...present("addressFrom", firstNetwork),
      ...present("secondAddressFrom", secondNetwork),
      ...present("registration", registrationOf(document.nodeRegistration)),
    },
    evidence,
    ...present("founding", founding),
    ...present("foundingPolicy", policy),
    init,
    ...present("metadata", document.metadata),
    join: { endpoints },
    allowUnmeasuredImage: document.allowUnmeasuredImage ?? false,
  };
}

function impossible(
  { text, what }: { readonly text: string; readonly what: string },
  problems: readonly Problem[],
): DocumentError {
  const placed = placedProblems(text, problems);
  const all = placed.map(({ line, text }) => line === undefined ? text : `line ${line}: ${text}`).join("; ");
  return new DocumentError("usage/configuration", `Cannot use ${what}: ${all}`, placed, {
    details: { document: what, key: keyPath(problems[0]?.path ?? []) },
  });
}

/** The keys of a path such as `join.endpoints[0]`. */
function pathOf(key: string): Problem["path"] {
  return [...key.matchAll(/\w+/g)].map(([step]) => /^\d+$/.test(step) ? Number(step) : step);
}

/** What a configuration both names and takes from metadata. */
function metadataConflicts(
  { metadata, node = {}, join = {}, founding }: ConfigurationDocument,
): readonly (readonly [key: string, reason: string])[] {
  const keys: Readonly<Record<MetadataField, string | undefined>> = {
    name: node.name === undefined ? undefined : "node.name",
    address: node.address !== undefined ? "node.address" : node.addressFrom && "node.addressFrom",
    role: node.role !== undefined ? "node.role" : founding && "founding",
    endpoints: join.endpoints === undefined ? undefined : "join.endpoints",
  };
  return (metadata?.use ?? []).flatMap((field) => {
    const key = keys[field];
    return key === undefined
      ? []
      : [["metadata.use", `${key} says the ${field} already: remove one of the two`] as const];
  });
}

/** Notes a problem. */
type Fail = (key: string, reason: string) => void;

function readTrust(
  document: ConfigurationDocument,
  policy: FoundingPolicy | undefined,
  known: readonly EvidenceKind[],
  fail: Fail,
): TrustPart {
  const { clusterName, clusterId, operatorKeys, founding } = document.trust;
  const keys: Bytes[] = [];
  const seen = new Map<string, string>();
  for (const [index, text] of operatorKeys.entries()) {
    const key = `trust.operatorKeys[${index}]`;
    const spki = readOperatorKey(text, key);
    const earlier = seen.get(hex(spki));
    if (earlier !== undefined) fail(key, `it is the same key as ${earlier}`);
    seen.set(hex(spki), key);
    keys.push(spki);
  }
  const id = clusterId === undefined ? new Uint8Array(0) : readClusterId(clusterId, "trust.clusterId");
  return {
    clusterName,
    clusterId: id,
    operatorKeys: keys,
    variants: variantNames(document, known),
    switches: readSwitches(document),
    ...present("founding", founding === undefined ? undefined : foundingTrust(founding, policy)),
  };
}

/** Returns the switches that are on and weaken a check. Each is measured with the trust part. */
function readSwitches({ evidence, allowUnmeasuredImage }: ConfigurationDocument): readonly InsecureSwitch[] {
  const values: Readonly<Record<InsecureSwitch, boolean>> = {
    allowInsecure: evidence?.allowInsecure ?? false,
    allowUnmeasuredImage: allowUnmeasuredImage ?? false,
  };
  return INSECURE_SWITCHES.filter((name) => values[name]);
}

function readInit(document: ConfigurationDocument, trust: ClusterTrust, fail: Fail): NodeConfiguration["init"] {
  const hasCluster = trust.clusterId.length > 0;
  const { enabled = !hasCluster && trust.founding === undefined, listen } = document.init ?? {};
  if (enabled && hasCluster) {
    fail("init.enabled", "a node whose trust.clusterId names its cluster can only join it: remove one of the two");
  }
  if (!enabled && listen !== undefined) fail("init.listen", "this node runs no InitServer: remove it");
  return { enabled, ...present("listen", listen === undefined ? undefined : readListenAddress(listen, "init.listen")) };
}

/**
 * Where the InitServer listens: where the configuration says, or at all addresses of the machine. Only a machine whose
 * own address is IPv6 listens at its IPv6 addresses: others may have turned the family off.
 *
 * @param address The node's own address.
 */
export function initListen({ listen }: NodeConfiguration["init"], address: string): Endpoint {
  const bytes = addressBytes(address);
  const isIpv6 = bytes !== undefined && familyOf(bytes) === 6;
  return listen ?? { host: isIpv6 ? "::" : "0.0.0.0", port: INIT_PORT };
}

function readEndpoints(texts: readonly string[], fail: Fail): readonly EndpointSource[] {
  const seen = new Map<string, string>();
  return texts.map((text, index) => {
    const key = `join.endpoints[${index}]`;
    const endpoint = readEndpointSource(text, key);
    const own = isFollowed(endpoint) ? sourceText(endpoint) : endpointIdentity(endpoint);
    const earlier = seen.get(own);
    if (earlier !== undefined) fail(key, `it is the same endpoint as ${earlier}`);
    seen.set(own, key);
    return endpoint;
  });
}

function variantNames({ evidence }: ConfigurationDocument, known: readonly EvidenceKind[]): readonly string[] {
  const { variant = defaultKind(known).name } = evidence ?? {};
  return typeof variant === "string" ? [variant] : variant;
}

function readEvidence(
  document: ConfigurationDocument,
  known: readonly EvidenceKind[],
  fail: Fail,
): EvidenceConfiguration {
  const { ekType, allowInsecure = false } = document.evidence ?? {};
  const names = variantNames(document, known);
  if (names.length === 0) fail("evidence.variant", "it must not be empty");
  if (new Set(names).size < names.length) fail("evidence.variant", "it must have each kind once");
  const kinds = names.map((name) => kindNamed(known, name));
  const none = insecureNames(known).join(" or ");
  const evidence = { kinds, ekType: ekType ?? DEFAULT_EK_TYPE };
  if (isInsecure(evidence) && kinds.length > 1) {
    fail("evidence.variant", `${none} goes with no other kind, as it proves nothing`);
  }
  const pair = exclusivePair(kinds);
  if (pair !== undefined) fail("evidence.variant", `no machine has both ${pair[0].name} and ${pair[1].name}`);
  if (isInsecure(evidence) && !allowInsecure) {
    fail("evidence.allowInsecure", `it must be true with evidence.variant "${none}", which proves nothing`);
  }
  if (!isInsecure(evidence) && allowInsecure) {
    const name = combinedName(names);
    fail("evidence.allowInsecure", `it goes only with evidence.variant "${none}", and the variant is "${name}"`);
  }
  if (ekType !== undefined && !kinds.some(({ hasEndorsementKey }) => hasEndorsementKey === true)) {
    const withKeys = known.filter(({ hasEndorsementKey }) => hasEndorsementKey === true).map(({ name }) => name);
    fail("evidence.ekType", `there is no endorsement key without ${withKeys.join(" or ")} in evidence.variant`);
  }
  return evidence;
}
