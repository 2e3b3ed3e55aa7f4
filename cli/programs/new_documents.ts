/**
 * The texts of new documents, with comments.
 *
 * @module
 */
import { stringify } from "yaml";
import type { EvidenceKind } from "../../attestation/kind.ts";
import { defaultKind, insecureNames } from "../../attestation/kind.ts";
import { DEFAULT_CLUSTER_DOCUMENT } from "../../kubernetes/settings.ts";
import { readYaml } from "../../platform/yaml.ts";

/** What new documents are for: a kind of node, or a cluster. */
export const NEW_DOCUMENT_ROLES = ["control-plane", "worker", "founder", "cluster"] as const;
/** One of {@linkcode NEW_DOCUMENT_ROLES}. */
export type NewDocumentRole = typeof NEW_DOCUMENT_ROLES[number];

/** What a new document says. */
export interface NewDocument {
  readonly role: NewDocumentRole;
  readonly clusterName?: string;
  /** Lines of OpenSSH, or PEM. */
  readonly operatorKeys: readonly string[];
  readonly endpoints: readonly string[];
  readonly clusterId?: string;
  readonly variant: readonly string[];
  readonly tokenKey?: string;
  /** The policy for founders, YAML. */
  readonly policy?: string;
  readonly kubernetesVersion?: string;
  readonly podSubnet?: string;
  readonly serviceSubnet?: string;
  /** The schema in the line for editors. Default: the line is left out. */
  readonly schemaFile?: string;
}

/** Returns the text of a document. Whether its values are right is for its reader to say. */
export function newDocument(document: NewDocument, kinds: readonly EvidenceKind[]): string {
  const { schemaFile, role } = document;
  const body = role === "cluster"
    ? clusterText(document)
    : role === "founder"
    ? founderText(document, kinds)
    : nodeText(document, kinds);
  return schemaFile === undefined ? body : `# yaml-language-server: $schema=${schemaFile}\n${body}`;
}

/** A scalar as YAML 1.1 and 1.2 read it alike. */
function scalar(value: string): string {
  return stringify(value, { compat: "yaml-1.1", lineWidth: 0, blockQuote: false }).trimEnd();
}

function list(values: readonly string[], indent: string): string {
  return values.map((value) => `${indent}- ${scalar(value)}\n`).join("");
}

/** A list of public keys. PEM has several lines. */
function keys(values: readonly string[]): string {
  return values.map((value) => {
    const lines = value.trim().split(/\r?\n/);
    return lines.length === 1
      ? `    - ${scalar(value.trim())}\n`
      : `    - |\n${lines.map((line) => `      ${line}\n`).join("")}`;
  }).join("");
}

function evidenceText(variant: readonly string[], insecure: readonly string[]): string {
  const written = variant.length === 1 ? scalar(variant[0] ?? "") : `[${variant.map(scalar).join(", ")}]`;
  const allowance = variant.some((name) => insecure.includes(name))
    ? "  # It proves nothing: only for development.\n  allowInsecure: true\n"
    : "";
  return `
# How the node proves what it is.
evidence:
  # tpm, snp or tdx on a confidential VM, or several: [tpm, snp], in the order of the cluster's policy.
  variant: ${written}
${allowance}`;
}

const ADDRESSES = `  # An RFC 1123 subdomain of at most 63 characters. Default: the host name.
  # name: node-1
  # The IP address that the other nodes reach this one by. Default: that of the interface with the default route.
  # address: 10.77.0.21
  # Or the network in which that address is, for one configuration for all machines.
  # addressFrom: 10.77.0.0/24
`;

const UNMEASURED = `
# Bootstraps although the image is not measured completely. Only for development: it is measured into PCR 12.
# allowUnmeasuredImage: true
`;

function trustText({ clusterName = "", operatorKeys, clusterId }: NewDocument): string {
  const written = operatorKeys.length === 0 ? "  operatorKeys: []\n" : `  operatorKeys:\n${keys(operatorKeys)}`;
  const id = clusterId === undefined
    ? '  # The cluster ID, once it is known: `bootstrapper init` prints it. The node then joins this cluster alone.\n  # clusterId: "sha256:…"\n'
    : `  # The node joins this cluster, and never inits one.\n  clusterId: ${scalar(clusterId)}\n`;
  return `# Whom the node obeys. It is measured into PCR 12 before any port opens.
trust:
  # The cluster's name, an RFC 1123 label. The node inits or joins only a cluster of this name.
  clusterName: ${scalar(clusterName)}
  # The operators' public keys, as \`bootstrapper keygen\` prints them.
${written}${id}`;
}

function nodeText(document: NewDocument, kinds: readonly EvidenceKind[]): string {
  const { role, endpoints, clusterId } = document;
  const variant = document.variant.length > 0 ? document.variant : [defaultKind(kinds).name];
  const isInitialisable = clusterId === undefined && role === "control-plane";
  const init = `
init:
  # Whether to wait for an operator's \`bootstrapper init\`.
  enabled: ${isInitialisable}
`;
  const join = endpoints.length > 0
    ? `
join:
  # Where to look for a join service: HOST:PORT of any control planes. All are tried at once.
  endpoints:
${list(endpoints, "    ")}`
    : `
# Where to look for a join service at the same time: HOST:PORT of control planes. Whatever comes first, wins.
# join:
#   endpoints: ["10.77.0.12:9444"]
`;
  return `# The configuration of a node: ${
    role === "worker" ? "one that joins a cluster as a worker" : "one that may become a control plane"
  }. Nothing in it is secret.
# Give it to the machine as the credential "bootstrapper.config", or put it into the image as /etc/bootstrapper/config.yaml.
version: 1

${trustText(document)}
node:
${ADDRESSES}  # What the node asks to become; the cluster's policy decides.
  role: ${role}
${evidenceText(variant, insecureNames(kinds))}${clusterId === undefined ? init : ""}${join}${UNMEASURED}`;
}

function founderText(document: NewDocument, kinds: readonly EvidenceKind[]): string {
  const { clusterName = "", operatorKeys, endpoints, tokenKey, policy } = document;
  const insecure = insecureNames(kinds);
  // Without a policy nobody looks at evidence.
  const usual = policy === undefined ? insecure.slice(0, 1) : [defaultKind(kinds).name];
  const variant = document.variant.length > 0 ? document.variant : usual;
  const written = operatorKeys.length === 0 ? "  operatorKeys: []\n" : `  operatorKeys:\n${keys(operatorKeys)}`;
  const policyText = policy === undefined
    ? ""
    : `    # Whom a founder, and a node that joins, takes for a control plane. It is measured as it is written.\n    policy:\n${
      indented(stringify(readYaml(policy), { lineWidth: 0, compat: "yaml-1.1" }), "      ")
    }`;
  const tokenText = tokenKey === undefined
    ? ""
    : `    # The public half of the founding token, which is the credential bootstrapper.token.\n    tokenKey: ${
      scalar(tokenKey)
    }\n`;
  return `# The configuration of a node that founds a cluster among equals; the same on every founder. Nothing in it is secret.
# Give it to the machine as the credential "bootstrapper.config".
version: 1

# The same on every node of the cluster, workers too. It is measured into PCR 12 before any port opens.
trust:
  clusterName: ${scalar(clusterName)}
  # May be empty: then only root on a control plane gives out admin credentials.
${written}  founding:
    # Exactly so many machines found the cluster.
    size: ${endpoints.length}
${policyText}${tokenText}
node:
${ADDRESSES}  # A founder is always a control plane.
  role: control-plane
${evidenceText(variant, insecure)}
founding:
  # All founders; default port 9443. The list may have this machine too.
  peers:
${
    list(endpoints, "    ")
  }  # The cluster's settings, the same on every founder. Without controlPlaneEndpoint, the API server's endpoint is the address
  # of the machine that is decided on, and is lost with it.
  cluster:
${indented(settingsText({ ...document, endpoints: [] }), "    ")}${
    variant.some((name) => insecure.includes(name))
      ? "\n# A machine without a TPM, or with an image that is not measured completely, needs it. Only for development.\nallowUnmeasuredImage: true\n"
      : UNMEASURED
  }`;
}

function indented(text: string, indent: string): string {
  return text.split("\n").map((line) => line === "" ? "" : `${indent}${line}`).join("\n");
}

const DEFAULTS = readYaml(DEFAULT_CLUSTER_DOCUMENT) as {
  readonly kubernetesVersion: string;
  readonly podSubnet: string;
};

function settingsText({ kubernetesVersion, podSubnet, serviceSubnet, endpoints: [endpoint] }: NewDocument): string {
  const endpointLine = endpoint === undefined
    ? "# controlPlaneEndpoint: k8s.example.org:6443\n"
    : `controlPlaneEndpoint: ${scalar(endpoint)}\n`;
  return `# The version of the control plane; kubeadm and the images on the nodes must be of it.
kubernetesVersion: ${scalar(kubernetesVersion ?? DEFAULTS.kubernetesVersion)}
# Where nodes and operators reach the API server: a load balancer or a DNS name, and a port. It cannot be changed later.
# Default: the address of the first control plane, port 6443.
${endpointLine}# The networks of Pods and Services, CIDR. They must not overlap with the nodes' network. For dual stack one of each family,
# with a comma between them.
podSubnet: ${scalar(podSubnet ?? DEFAULTS.podSubnet)}
serviceSubnet: ${scalar(serviceSubnet ?? "10.96.0.0/12")}
`;
}

function clusterText(document: NewDocument): string {
  return `# The cluster document: what \`bootstrapper init --cluster FILE\` decides about a new cluster.
${
    settingsText(document)
  }# Whether kubeadm installs kube-proxy and CoreDNS. Set them to false if the network plugin, or you, bring others.
kubeProxy: true
coreDns: true
# How long a node stays a member without proving itself again, from 1h to 8760h.
nodeCertificateLifetime: 168h
`;
}
