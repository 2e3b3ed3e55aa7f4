/**
 * The schema of a node's configuration, version 1.
 *
 * @module
 */
import * as v from "valibot";
import type { EvidenceKind } from "../attestation/kind.ts";
import type { EkType } from "../attestation/kinds/tpm/templates.ts";
import { EK_TYPES } from "../attestation/kinds/tpm/templates.ts";
import { CLUSTER_ID_TEXT } from "../certificate/cluster_id.ts";
import { readOperatorKey } from "../certificate/operator_key.ts";
import { newClusterProblems } from "../kubernetes/new_cluster.ts";
import type { NodeRole } from "../kubernetes/node_role.ts";
import { NODE_ROLES } from "../kubernetes/node_role.ts";
import { readClusterSettings } from "../kubernetes/settings.ts";
import { checkedText, problemIn } from "../platform/checked_text.ts";
import { familyParts, familyPartsProblem } from "../platform/dual_stack.ts";
import type { DocumentSchema, KeyHints, Problem } from "../platform/document.ts";
import { keyPath, readDocument } from "../platform/document.ts";
import { parseListenAddress } from "../platform/endpoint.ts";
import { isFollowed, parseEndpointSource } from "../platform/endpoint_source.ts";
import { asBootstrapError } from "../platform/errors.ts";
import type { AddressFamily } from "../platform/ip_address.ts";
import {
  addressBytes,
  familyOf,
  memberAddressProblem,
  nodeAddressProblem,
  readNetwork,
  unreachableKind,
} from "../platform/ip_address.ts";
import { labelProblem, nodeNameProblem, reservedNameProblem, shown } from "../platform/label.ts";
import { present } from "../platform/present.ts";
import type { MetadataConfiguration } from "./metadata/values.ts";
import { METADATA_FIELDS, METADATA_SOURCES } from "./metadata/values.ts";
import type { FoundingDocument, FoundingTrustDocument } from "./founding_schema.ts";
import { type RegistrationDocument, registrationSchema } from "./registration_schema.ts";
import { CLUSTER_FILE_KEY, foundingSchema, foundingTrustSchema, uncallableFounder } from "./founding_schema.ts";

const JOIN_SERVICE_PORT = 9444;
const INIT_PORT = 9443;

function clusterIdProblem(text: string): string | undefined {
  if (CLUSTER_ID_TEXT.test(text)) return undefined;
  const advice = CLUSTER_ID_TEXT.test(`sha256:${text}`) ? `: write sha256:${text}` : "";
  return `it must be "sha256:" and 64 lower-case hexadecimal digits; current value is ${shown(text)}${advice}`;
}

function operatorKeyProblem(text: string): string | undefined {
  try {
    readOperatorKey(text, "the key");
    return undefined;
  } catch (cause) {
    if (/^[~.]?\.?\//.test(text) || /\.pub$/.test(text)) return "write the key itself, not the name of its file";
    const error = asBootstrapError(cause);
    const seen = operatorKeyShown(text);
    return error.code === "refused/key-type"
      ? `an operator's key must be Ed25519: \`bootstrapper keygen\` makes one; ${seen}`
      : `it must be a line that \`bootstrapper keygen\` prints, or PEM of a public key; ${seen}`;
  }
}

/** Shows what was written instead of an operator's key, unless it may be a secret. */
function operatorKeyShown(text: string): string {
  if (/PRIVATE KEY/.test(text)) {
    return "this is a private key: whoever has read the file may have it, so make another one";
  }
  if (/^(?:ssh|ecdsa|sk)-[a-z0-9@.-]+(?:\s|$)/.test(text.trim())) return `current value is ${shown(text)}`;
  return text.startsWith("-----") ? "current value is PEM" : `current value has ${text.length} characters`;
}

const clusterName = checkedText(labelProblem);
const operatorKey = checkedText(operatorKeyProblem);
const clusterId = checkedText(clusterIdProblem);
const nodeName = checkedText(nodeNameProblem);
const BOTH_FAMILIES = "write one of each family with a comma between them, without brackets";
const nodeAddress = checkedText(
  (text) => familyPartsProblem(text, memberAddressProblem, familyOfText),
  ({ received }) => received === "Array" ? BOTH_FAMILIES : `expected an IP address, seen ${received}`,
);
const network = checkedText(
  (text) => familyPartsProblem(text, problemIn(readNetwork), familyOfText),
  ({ received }) => received === "Array" ? BOTH_FAMILIES : `expected a network, seen ${received}`,
);

/** The family of an address or a network. */
function familyOfText(text: string): AddressFamily {
  const [address = ""] = text.split("/");
  return familyOf(addressBytes(address) ?? new Uint8Array());
}

/** Says why a node cannot call an endpoint. It can call a loopback address: a tunnel may begin there. */
function uncallableProblem(text: string): string | undefined {
  const source = parseEndpointSource(text);
  if (typeof source === "string") return source;
  const address = isFollowed(source) ? undefined : addressBytes(source.host);
  const kind = address && unreachableKind(address);
  return kind === undefined || kind === "loopback"
    ? undefined
    : `no join service can be reached at ${shown(text)}: the address is ${kind}`;
}

/** Says why no address of a network can be a node's. */
function unreachableNetworkProblem(text: string): string | undefined {
  for (const part of familyParts(text)) {
    const network = readNetwork(part);
    const kind = typeof network === "string" ? undefined : unreachableKind(network.start);
    if (kind !== undefined && kind !== "unspecified") return `other nodes cannot reach ${shown(part)}: it is ${kind}`;
  }
  return undefined;
}

const endpoint = checkedText(
  problemIn((text) => parseEndpointSource(text, { usualPort: JOIN_SERVICE_PORT })),
  ({ received }) => `expected HOST:PORT in quotes, as in "10.77.0.11:${JOIN_SERVICE_PORT}", seen ${received}`,
);
const listenAddress = checkedText(
  problemIn((text) => parseListenAddress(text, INIT_PORT)),
  ({ received }) => `expected HOST:PORT in quotes, as in "0.0.0.0:${INIT_PORT}", seen ${received}`,
);

/** What to write instead of keys that this program does not have. */
const HINTS: KeyHints = {
  version: "write version: 1",
  "node.labels": "labels stand in nodeRegistration.labels; or use `kubectl label`",
  "node.taints": "taints stand in nodeRegistration.taints; or use `kubectl taint`",
  "nodeRegistration.kubeletExtraArgs":
    "this file is not measured, so it has no arguments of the kubelet: write them in a JoinConfiguration of the cluster file",
  "node.hostname": 'the node\'s name is "name"',
  "node.ip": 'the node\'s address is "address"',
  "trust.founding.token":
    "the token is a secret: give it as the credential bootstrapper.token; its public half is tokenKey",
  "founding.size": "the number of founders is trust.founding.size",
  "founding.port": "the port is that of founding.listen",
  "node.nameFrom": "what comes from the machine's metadata is named in metadata.use",
  "node.roleFrom": "what comes from the machine's metadata is named in metadata.use",
  "join.endpointsFrom": "what comes from the machine's metadata is named in metadata.use",
  "proxy": "this program uses no proxy",
};

/** A configuration document that the schema accepts. */
export interface ConfigurationDocument {
  /** The version of the document's format. */
  readonly version: 1;
  /** The cluster and the operators that the node obeys. */
  readonly trust: {
    readonly clusterName: string;
    readonly clusterId?: string;
    readonly operatorKeys: readonly string[];
    /** How machines found the cluster among equals. */
    readonly founding?: FoundingTrustDocument;
  };
  readonly node?: {
    readonly name?: string;
    readonly address?: string;
    readonly addressFrom?: string;
    readonly role?: NodeRole;
  };
  /** How the Node registers. */
  readonly nodeRegistration?: RegistrationDocument;
  /** The evidence that the node gives. */
  readonly evidence?: {
    readonly variant?: string | readonly string[];
    readonly ekType?: EkType;
    readonly allowInsecure?: boolean;
  };
  readonly init?: { readonly enabled?: boolean; readonly listen?: string };
  readonly join?: { readonly endpoints?: readonly string[] };
  /** How this machine takes part in a founding among equals. */
  readonly founding?: FoundingDocument;
  /** What the node takes from its machine's metadata, in the place of values of its own. */
  readonly metadata?: MetadataConfiguration;
  /** Whether the node bootstraps even if its image is not fully measured. */
  readonly allowUnmeasuredImage?: boolean;
}

const metadataSchema = v.strictObject({
  source: v.picklist(METADATA_SOURCES),
  use: v.pipe(
    v.array(v.picklist(METADATA_FIELDS)),
    v.minLength(1, `it must name at least one of ${METADATA_FIELDS.join(", ")}`),
    v.check((fields) => new Set(fields).size === fields.length, "it must name each value once"),
  ),
});

/** Returns the schema of a configuration document. */
export function configurationSchema(kinds: readonly EvidenceKind[]): DocumentSchema<ConfigurationDocument> {
  const kind = v.picklist(kinds.map(({ name }) => name));
  return v.strictObject({
    version: v.literal(1),
    trust: v.strictObject({
      clusterName,
      clusterId: v.exactOptional(clusterId),
      operatorKeys: v.pipe(v.array(operatorKey), v.maxLength(64, "at most 64 operator keys are allowed")),
      founding: v.exactOptional(foundingTrustSchema(kinds)),
    }),
    node: v.exactOptional(v.strictObject({
      name: v.exactOptional(nodeName),
      address: v.exactOptional(nodeAddress),
      addressFrom: v.exactOptional(network),
      role: v.exactOptional(v.picklist(NODE_ROLES)),
    })),
    nodeRegistration: v.exactOptional(registrationSchema),
    evidence: v.exactOptional(v.strictObject({
      variant: v.exactOptional(v.union([kind, v.array(kind)])),
      ekType: v.exactOptional(v.picklist(EK_TYPES)),
      allowInsecure: v.exactOptional(v.boolean()),
    })),
    init: v.exactOptional(v.strictObject({
      enabled: v.exactOptional(v.boolean()),
      listen: v.exactOptional(listenAddress),
    })),
    join: v.exactOptional(v.strictObject({
      endpoints: v.exactOptional(v.pipe(v.array(endpoint), v.maxLength(64, "at most 64 endpoints are allowed"))),
    })),
    founding: v.exactOptional(foundingSchema),
    metadata: v.exactOptional(metadataSchema),
    allowUnmeasuredImage: v.exactOptional(v.boolean()),
  }) as v.GenericSchema<unknown, ConfigurationDocument>;
}

/** The values of a configuration that are checked more strictly of a fresh node. */
export type NewNodeValues = Pick<ConfigurationDocument, "node" | "join" | "founding">;

/**
 * Says what no fresh node may have in its configuration. The configuration of a member may have it from a time when it
 * was allowed, and the member must go on.
 */
export function newNodeProblems(
  { node = {}, join: { endpoints = [] } = {}, founding = {} }: NewNodeValues,
): readonly Problem[] {
  const { name, address, addressFrom } = node;
  const founders = (founding.peers ?? []).map((text, index) => [["founding", "peers", index], text] as const);
  const found: readonly (readonly [path: Problem["path"], reason: string | undefined])[] = [
    [["node", "name"], name === undefined ? undefined : reservedNameProblem(name)],
    [
      ["node", "address"],
      address === undefined ? undefined : familyPartsProblem(address, nodeAddressProblem, familyOfText),
    ],
    [["node", "addressFrom"], addressFrom === undefined ? undefined : unreachableNetworkProblem(addressFrom)],
    ...endpoints.map((text, index) => [["join", "endpoints", index], uncallableProblem(text)] as const),
    ...founders.map(([path, text]) => [path, uncallableFounder(text)] as const),
    [["founding", "address"], founding.address === undefined ? undefined : uncallableFounder(founding.address)],
  ];
  const own = found.flatMap(([path, reason]) =>
    reason === undefined ? [] : [{ path, text: `${keyPath(path)}: ${reason}` }]
  );
  return [...own, ...foundedClusterProblems(founding)];
}

/** What no new cluster may have, in the settings of the cluster that this machine may found. */
function foundedClusterProblems({ cluster, clusterFile }: FoundingDocument): readonly Problem[] {
  if (clusterFile !== undefined) {
    return newClusterProblems(readClusterSettings(clusterFile, CLUSTER_FILE_KEY)).map(({ text }) => ({
      path: ["founding", "clusterFile"],
      text: `${CLUSTER_FILE_KEY}: ${text}`,
    }));
  }
  if (cluster === undefined) return [];
  return newClusterProblems(cluster).map(({ path, text }) => ({
    path: ["founding", "cluster", ...path],
    text: `founding.cluster.${text}`,
  }));
}

/**
 * Reads a configuration document. `readNodeConfiguration()` checks what the schema cannot express.
 *
 * @param check Further checks of a document that the schema accepts.
 * @throws {BootstrapError} `usage/document`, with all problems, their lines, and the path of the first wrong key.
 */
export function readConfigurationDocument(
  text: string,
  what: string,
  kinds: readonly EvidenceKind[],
  check?: (document: ConfigurationDocument) => readonly Problem[],
): ConfigurationDocument {
  return readDocument(text, configurationSchema(kinds), what, {
    kind: "node",
    hints: HINTS,
    ...present("check", check),
  });
}
