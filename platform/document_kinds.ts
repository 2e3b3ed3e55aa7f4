/**
 * The kinds of documents that people give to this program, and those that they mistake for them.
 *
 * @module
 */

/** The documents that this program reads from people. */
export type DocumentKind = "node" | "cluster" | "policy";

interface KnownKind {
  /** What the document is, for people. */
  readonly title: string;
  /** Where an example is. */
  readonly example: string;
  /** Keys at the top that no document of another kind has. */
  readonly marks: readonly string[];
  /** Keys that a document of the kind may have at the top, or has there by mistake. */
  readonly others: readonly string[];
}

/** All of them. */
export const DOCUMENT_KINDS: readonly DocumentKind[] = ["node", "cluster", "policy"];

const KINDS: Readonly<Record<DocumentKind, KnownKind>> = {
  node: {
    title: "a node's configuration",
    example: "deploy/node-worker.example.yaml",
    marks: ["trust", "join", "init", "evidence"],
    others: [
      ...["node", "founding", "allowUnmeasuredImage", "operatorKeys", "operatorKey", "clusterId", "endpoints"],
      ...["clusterName", "role", "address", "addressFrom", "ekType", "allowInsecure"],
    ],
  },
  cluster: {
    title: "a cluster document",
    example: "deploy/cluster.example.yaml",
    marks: ["kubernetesVersion", "podSubnet", "serviceSubnet", "controlPlaneEndpoint", "kubeProxy", "coreDns"],
    others: [
      ...["timeouts", "etcd", "leaderElection", "nodeCertificateLifetime", "networking", "podCIDR", "serviceCIDR"],
      ...["clusterName", "version", "imageRepository", "dnsDomain", "apiServer"],
    ],
  },
  policy: {
    title: "a policy",
    example: "deploy/policy.example.yaml",
    marks: ["variant", "roles", "bannedIdentities"],
    others: ["collateral", "names", "removed", "pcrs", "identities", "maximumClockSkewSeconds"],
  },
};

/** The API groups whose documents people mistake for ours. */
const GROUPS: readonly (readonly [prefix: string, whose: string])[] = [
  ["kubeadm.k8s.io/", "kubeadm's"],
  ["kubelet.config.k8s.io/", "the kubelet's"],
  ["kubeproxy.config.k8s.io/", "kube-proxy's"],
];
/** The key `kind` of an evidence file. */
export const EVIDENCE_FILE_KIND = "bootstrapper evidence";
const LONGEST_KIND = 40;
const CONFIG_MAP = "the Kubernetes object ConfigMap";

/**
 * Recognises a document that is not of the expected kind, by its first line or its keys.
 *
 * @param value The parsed document; `undefined` if it is no YAML.
 * @returns A clause that says what it is and what is expected; `undefined` if it is not recognised.
 */
export function foreignKind(expected: DocumentKind, text: string, value: unknown): string | undefined {
  const seen = kindOfText(text) ?? kindOfValue(expected, value);
  const { title, example } = KINDS[expected];
  if (expected === "policy" && seen === CONFIG_MAP) {
    return 'this is a ConfigMap: give the text under data["policy.yaml"]';
  }
  return seen && `this is ${seen}; ${title} is expected, see ${example}`;
}

/**
 * Recognises a document of any kind, where none of the kinds in this module is expected.
 *
 * @param value The parsed document; `undefined` if it is no YAML.
 * @returns What it is, such as "a policy"; `undefined` if it is not recognised.
 */
export function recognisedKind(text: string, value: unknown): string | undefined {
  return kindOfText(text) ?? kindOfValue(undefined, value);
}

/**
 * Recognises a file that is none of the documents of this module, nor one of those that kubeadm reads.
 *
 * @param value The parsed document; `undefined` if it is no YAML, or several documents.
 * @returns What it is, such as "a cloud-config"; `undefined` if it is not recognised.
 */
export function strangerKind(text: string, value: unknown): string | undefined {
  return isOfKubeadm(text) ? undefined : kindOfText(text) ?? strangerOfValue(value);
}

/** What people call a document of a kind: "a policy". */
export function titleOf(kind: DocumentKind): string {
  return KINDS[kind].title;
}

/** A key that is a mark counts for more than all others. */
const WEIGHT_OF_MARK = 100;

/**
 * Says which kind a document is meant to be: by its keys at the top, in whatever letters, or by kubeadm's and its components'
 * own names of kinds, which are read with the cluster document.
 *
 * @param value The parsed document; `undefined` if it is no YAML, or several documents.
 * @returns `undefined` if nothing or too much speaks for one.
 */
export function likelyKind(text: string, value: unknown): DocumentKind | undefined {
  if (isOfKubeadm(text)) return "cluster";
  const keys = topKeysOf(text, value).map((key) => key.toLowerCase());
  const scores = DOCUMENT_KINDS.map((kind) => {
    const count = (names: readonly string[]) => names.filter((name) => keys.includes(name.toLowerCase())).length;
    return { kind, score: WEIGHT_OF_MARK * count(KINDS[kind].marks) + count(KINDS[kind].others) };
  }).toSorted((one, other) => other.score - one.score);
  const [first, second] = scores;
  return first === undefined || first.score === (second?.score ?? 0) ? undefined : first.kind;
}

/** Whether a document says that it is one of those that kubeadm reads. */
function isOfKubeadm(text: string): boolean {
  const [, apiVersion = ""] = /^apiVersion:[ \t]*["']?([\w./-]+)/m.exec(text) ?? [];
  return GROUPS.some(([prefix]) => apiVersion.startsWith(prefix));
}

function topKeysOf(text: string, value: unknown): readonly string[] {
  if (typeof value === "object" && value !== null) return Object.keys(value);
  return [...text.matchAll(/^\uFEFF?["']?(\w+)["']?[ \t]*:/gm)].map(([, key = ""]) => key);
}

/** Files that are recognised by their first lines. */
const FIRST_LINES: readonly (readonly [pattern: RegExp, what: string])[] = [
  [/^-----BEGIN /, "a PEM file"],
  [/^<(?:!doctype html|html)\b/i, "an HTML page, perhaps of a server that did not have the file"],
  [/^<\?xml\b/, "an XML file"],
  [/^version https:\/\/git-lfs/, "a pointer of Git LFS, not the file itself"],
  [/^\$ANSIBLE_VAULT;/, "a file that Ansible Vault encrypted: decrypt it first"],
  [/^age-encryption\.org\//, "a file that age encrypted: decrypt it first"],
  [/^\[{1,2}[\w."-]+\]{1,2}\s*(?:#.*)?$|^[\w.-]+[ \t]*=(?!=)/, "a TOML or INI file, not YAML"],
];

function kindOfText(text: string): string | undefined {
  const [first = ""] = text.trimStart().split("\n", 1);
  if (/^(?:#.*\r?\n)*#cloud-config\b/.test(text.trimStart())) return "a cloud-config";
  if (/^#!/.test(first)) return "a script";
  if (/^#ignition|^\{\s*"ignition"/.test(first)) return "an Ignition document";
  for (const [pattern, what] of FIRST_LINES) if (pattern.test(first)) return what;
  // kubeadm's file is often several documents, which are not parsed here.
  const [, apiVersion] = /^apiVersion:[ \t]*["']?([\w./-]+)/m.exec(text) ?? [];
  const [, kind] = /^kind:[ \t]*["']?(\w+)/m.exec(text) ?? [];
  return apiVersion === undefined || kind === undefined ? undefined : kindOfObject(apiVersion, kind);
}

function kindOfObject(apiVersion: string, kind: string): string {
  const name = kind.slice(0, LONGEST_KIND);
  const [, whose] = GROUPS.find(([prefix]) => apiVersion.startsWith(prefix)) ?? [];
  if (whose !== undefined) return `${whose} document ${name}${ageOf(apiVersion)}`;
  return apiVersion === "v1" && kind === "Config" ? "a kubeconfig" : `the Kubernetes object ${name}`;
}

/** Says that kubeadm's own document is of an earlier version. */
function ageOf(apiVersion: string): string {
  const [, version] = /^kubeadm\.k8s\.io\/(v1(?:alpha\d|beta[1-3]))$/.exec(apiVersion) ?? [];
  return version === undefined ? "" : ` (${version}, which \`kubeadm config migrate\` brings up to date)`;
}

type Field = (key: string) => unknown;

/** Returns how to look up a mapping's keys; `undefined` for other values. */
function fieldsOf(value: unknown): Field | undefined {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return undefined;
  return (key) => Object.hasOwn(value, key) ? Reflect.get(value, key) : undefined;
}

function strangerOfValue(value: unknown): string | undefined {
  const field = fieldsOf(value);
  if (field === undefined) return undefined;
  const [apiVersion, kind] = [field("apiVersion"), field("kind")];
  if (field("sops") !== undefined) return "a document that sops encrypted: decrypt it first";
  if (typeof apiVersion === "string" && typeof kind === "string") return kindOfObject(apiVersion, kind);
  if (kind === EVIDENCE_FILE_KIND) return "an evidence file";
  if (field("founding") !== undefined && field("clusterId") !== undefined) {
    return "a cluster file, which `bootstrapper init` writes";
  }
  if (field("network") !== undefined && typeof field("network") === "object" && field("trust") === undefined) {
    return "a netplan document";
  }
  return undefined;
}

function kindOfValue(expected: DocumentKind | undefined, value: unknown): string | undefined {
  const field = fieldsOf(value);
  const stranger = strangerOfValue(value);
  if (field === undefined || stranger !== undefined) return stranger;
  for (const [name, { title, marks }] of Object.entries(KINDS)) {
    if (name === expected || !marks.some((mark) => field(mark) !== undefined)) continue;
    if (expected === undefined || !hasMark(expected, field)) return title;
  }
  return undefined;
}

function hasMark(kind: DocumentKind, field: Field): boolean {
  return KINDS[kind].marks.some((mark) => field(mark) !== undefined);
}
