/**
 * kubeadm's own documents in an operator's cluster file. They are laid under what the bootstrapper must own: a field
 * that it sets is refused by its name, with the reason, and everything else arrives unchanged in what kubeadm gets.
 *
 * @module
 */
import { normalize } from "node:path/posix";
import * as v from "valibot";
import type { Problem } from "../platform/document.ts";
import { keyPath, readDocument } from "../platform/document.ts";
import { nodeLabelsProblem } from "./node_labels.ts";

/** A mapping of YAML. */
export type Mapping = Readonly<Record<string, unknown>>;

/** The kinds of documents that a cluster file may have besides the cluster document. */
export const KUBEADM_KINDS = [
  ...["ClusterConfiguration", "InitConfiguration", "JoinConfiguration"],
  ...["KubeletConfiguration", "KubeProxyConfiguration"],
] as const;

/** The kind of one of kubeadm's documents. */
export type KubeadmKind = typeof KUBEADM_KINDS[number];

/** The operator's documents by their kind, without `apiVersion` and `kind`. */
export type KubeadmDocuments = Readonly<Partial<Record<KubeadmKind, Mapping>>>;

const KUBEADM = "kubeadm.k8s.io/v1beta4";
/** The version in which each kind is read. */
export const KUBEADM_API_VERSIONS: Readonly<Record<KubeadmKind, string>> = Object.freeze({
  ClusterConfiguration: KUBEADM,
  InitConfiguration: KUBEADM,
  JoinConfiguration: KUBEADM,
  KubeletConfiguration: "kubelet.config.k8s.io/v1beta1",
  KubeProxyConfiguration: "kubeproxy.config.k8s.io/v1alpha1",
});

/** The keys of kubeadm's kinds (`apis/kubeadm/v1beta4/types.go`). Those of the other two are many, and kubeadm knows them. */
const KEYS: Readonly<Partial<Record<KubeadmKind, readonly string[]>>> = {
  ClusterConfiguration: [
    ...["etcd", "networking", "kubernetesVersion", "controlPlaneEndpoint", "apiServer", "controllerManager"],
    ...["scheduler", "dns", "proxy", "certificatesDir", "imageRepository", "featureGates", "clusterName"],
    ...["encryptionAlgorithm", "certificateValidityPeriod", "caCertificateValidityPeriod"],
  ],
  InitConfiguration: [
    ...["bootstrapTokens", "dryRun", "nodeRegistration", "localAPIEndpoint", "certificateKey", "skipPhases"],
    ...["patches", "timeouts"],
  ],
  JoinConfiguration: [
    ...["dryRun", "nodeRegistration", "caCertPath", "discovery", "controlPlane", "skipPhases", "patches", "timeouts"],
  ],
};

const ARGUMENT = /^[a-z][a-z0-9-]*$/;
const NODE = "the node's name and addresses are in its own configuration";
const CERTIFICATES = "each certificate comes from an attested exchange, and lies where the bootstrapper writes it";
const CA = "the cluster's CA is the bootstrapper's, in /etc/kubernetes/pki";
const PORTS = "the ports of a control plane are 6443 and 10250";
const NO_TOKEN = "no bootstrap token exists at any time";
const PHASES = "the bootstrapper chooses the phases; set kubeProxy: false or coreDns: false in the cluster document";

/** The fields that are refused, by their path, and why. */
const REGISTRATION: Readonly<Record<string, string>> = {
  "nodeRegistration.name": NODE,
  "nodeRegistration.criSocket": "the kubelet uses containerd at /run/containerd/containerd.sock",
  "nodeRegistration.imagePullPolicy": "images are part of the measured machine, and none is fetched",
};
const OWNED: Readonly<Record<KubeadmKind, Readonly<Record<string, string>>>> = {
  ClusterConfiguration: {
    clusterName: "the cluster's name is --name of `bootstrapper init`",
    certificatesDir: CA,
    caCertificateValidityPeriod: CA,
    encryptionAlgorithm: "the cluster's keys are ECDSA P-256",
    "etcd.external": "etcd runs on the control planes: the voters are the bootstrapper's to add and to remove",
    "etcd.local.dataDir": "etcd's data is in /var/lib/etcd",
  },
  InitConfiguration: {
    ...REGISTRATION,
    bootstrapTokens: NO_TOKEN,
    certificateKey: "no key is uploaded to the cluster",
    localAPIEndpoint: NODE,
    dryRun: "an init is real",
    skipPhases: PHASES,
  },
  JoinConfiguration: {
    ...REGISTRATION,
    caCertPath: CA,
    discovery: "a node finds its cluster by an attested exchange",
    controlPlane: "the policy decides who is a control plane",
    dryRun: "a join is real",
    skipPhases: PHASES,
    timeouts: "the time limits are those of the cluster document, or of the InitConfiguration",
  },
  KubeletConfiguration: {
    rotateCertificates: CERTIFICATES,
    serverTLSBootstrap: CERTIFICATES,
    tlsCertFile: CERTIFICATES,
    tlsPrivateKeyFile: CERTIFICATES,
    authentication: "the kubelet accepts the cluster's CA, and nobody without a certificate or a token",
    authorization: "the API server decides who may call the kubelet",
    staticPodPath: "kubeadm's manifests are in /etc/kubernetes/manifests",
    staticPodURL: "Pods come from the API server, and from the machine itself",
    staticPodURLHeader: "Pods come from the API server, and from the machine itself",
    containerRuntimeEndpoint: "the kubelet uses containerd at /run/containerd/containerd.sock",
    imageServiceEndpoint: "the kubelet uses containerd at /run/containerd/containerd.sock",
    registerNode: "a node is a member when its kubelet has registered it",
    readOnlyPort: "the kubelet answers nobody without a certificate or a token",
    port: PORTS,
    enableServer: "the API server calls the kubelet",
    healthzPort: "the bootstrapper looks at the kubelet's health at port 10248",
    healthzBindAddress: "the bootstrapper looks at the kubelet's health at 127.0.0.1",
  },
  KubeProxyConfiguration: {
    clientConnection: "kube-proxy calls the API server by its service account",
    hostnameOverride: NODE,
  },
};

/** Arguments that are refused, by the path of their list: names, or beginnings of names that end in `*`. */
const KUBELET_ARGUMENTS = [
  ...["node-ip", "hostname-override", "bootstrap-kubeconfig", "kubeconfig", "config", "rotate-certificates"],
  ...["rotate-server-certificates", "tls-cert-file", "tls-private-key-file", "client-ca-file", "anonymous-auth"],
  ...["authorization-mode", "cert-dir", "pod-manifest-path", "container-runtime-endpoint", "image-service-endpoint"],
  // A folder with more of its configuration counts more than the file.
  ...["config-dir", "root-dir", "manifest-url*", "read-only-port", "register-node", "authentication-*"],
  ...["port", "enable-server", "healthz-*"],
];
const OWNED_ARGUMENTS: Readonly<Partial<Record<KubeadmKind, Readonly<Record<string, readonly string[]>>>>> = {
  ClusterConfiguration: {
    "apiServer.extraArgs": [
      ...["kubelet-certificate-authority", "kubelet-client-*", "authorization-*", "client-ca-file", "tls-cert-file"],
      ...["tls-private-key-file", "service-account-key-file", "service-account-signing-key-file", "etcd-servers"],
      ...["etcd-cafile", "etcd-certfile", "etcd-keyfile", "proxy-client-*", "requestheader-*", "secure-port"],
      ...["advertise-address", "anonymous-auth", "enable-bootstrap-token-auth", "bind-address"],
      ...["authentication-config", "disable-admission-plugins", "service-cluster-ip-range"],
    ],
    "controllerManager.extraArgs": [
      ...["cluster-signing-*", "root-ca-file", "client-ca-file", "service-account-private-key-file", "kubeconfig"],
      ...["authentication-kubeconfig", "authorization-kubeconfig", "requestheader-client-ca-file"],
      ...["cluster-cidr", "service-cluster-ip-range", "allocate-node-cidrs"],
    ],
    "scheduler.extraArgs": ["kubeconfig", "authentication-kubeconfig", "authorization-kubeconfig"],
    "etcd.local.extraArgs": [
      ...["name", "data-dir", "initial-*", "listen-*", "advertise-client-urls", "client-cert-auth", "cert-file"],
      ...["key-file", "trusted-ca-file", "peer-*", "force-new-cluster"],
    ],
  },
  InitConfiguration: { "nodeRegistration.kubeletExtraArgs": KUBELET_ARGUMENTS },
  JoinConfiguration: { "nodeRegistration.kubeletExtraArgs": KUBELET_ARGUMENTS },
};

/** The cluster keeps the cut list there. */
const OWN_FOLDER = "/etc/kubernetes/bootstrapper";
/** What kubeadm mounts into the Pods of its components, and what each of them cannot start without. */
const NEEDED_PATHS: Readonly<Record<string, readonly string[]>> = {
  apiServer: ["/etc/kubernetes/pki"],
  controllerManager: ["/etc/kubernetes/pki", "/etc/kubernetes/controller-manager.conf"],
  scheduler: ["/etc/kubernetes/scheduler.conf"],
};

/** Whether a document's value says that it is one of Kubernetes': it has `apiVersion` and `kind`. */
export function isKubernetesDocument(value: unknown): value is Mapping {
  return isMapping(value) && ("apiVersion" in value || "kind" in value);
}

/**
 * Reads one of kubeadm's documents.
 *
 * @param text YAML of one document; its lines are those of the file.
 * @param what The file's name for errors.
 * @throws {DocumentError} `usage/document` with all problems, their lines, and the path of the first wrong key.
 */
export function readKubeadmDocument(text: string, what: string): readonly [KubeadmKind, Mapping] {
  const { apiVersion: _, kind, ...fields } = readDocument(text, anyDocument, what, { check: problemsOf });
  return [KUBEADM_KINDS.find((known) => known === kind) ?? "ClusterConfiguration", fields];
}

const anyDocument = v.looseObject({ apiVersion: v.string(), kind: v.string() });

function problemsOf(document: v.InferOutput<typeof anyDocument>): readonly Problem[] {
  const { apiVersion, kind: text, ...fields } = document;
  const kind = KUBEADM_KINDS.find((known) => known === text);
  if (kind === undefined) {
    return [{
      path: ["kind"],
      text: `kind: it must be one of ${KUBEADM_KINDS.join(", ")}; current value is "${text}"`,
    }];
  }
  const expected = KUBEADM_API_VERSIONS[kind];
  if (apiVersion !== expected) {
    const advice = apiVersion.startsWith("kubeadm.k8s.io/") ? "; `kubeadm config migrate` writes it anew" : "";
    const problem = `apiVersion: a ${kind} must be of ${expected}; current value is "${apiVersion}"${advice}`;
    return [{ path: ["apiVersion"], text: problem }];
  }
  return [
    ...unknownKeys(kind, fields),
    ...Object.entries(OWNED[kind]).flatMap(([key, reason]) => owned(fields, key.split("."), reason)),
    ...Object.entries(OWNED_ARGUMENTS[kind] ?? {}).flatMap(([key, names]) => argumentProblems(fields, key, names)),
    ...volumeProblems(kind, fields),
    ...admissionProblems(kind, fields),
    ...formProblems(kind, fields),
    ...ignoredProblems(fields),
  ];
}

function unknownKeys(kind: KubeadmKind, fields: Mapping): readonly Problem[] {
  const known = KEYS[kind];
  if (known === undefined) return [];
  return Object.keys(fields).filter((key) => !known.includes(key)).map((key) => ({
    path: [key],
    text: `${key}: kubeadm's ${kind} has no such field`,
  }));
}

function owned(fields: Mapping, path: readonly string[], reason: string): readonly Problem[] {
  return valueAt(fields, path) === undefined ? [] : [{ path, text: `${keyPath(path)}: this cannot be set: ${reason}` }];
}

function argumentProblems(fields: Mapping, key: string, names: readonly string[]): readonly Problem[] {
  const path = key.split(".");
  const list = valueAt(fields, path);
  if (list === undefined) return [];
  if (!Array.isArray(list)) {
    return [{ path, text: `${key}: it must be a list of {name, value}, as kubeadm has it since v1beta4` }];
  }
  return list.flatMap((entry: unknown, index) => {
    const at = [...path, index];
    const name = isMapping(entry) ? entry.name : undefined;
    if (!isMapping(entry) || typeof name !== "string" || typeof entry.value !== "string") {
      return [{ path: at, text: `${keyPath(at)}: it must have a name and a value, both texts` }];
    }
    // Kubernetes' programs read "_" as "-".
    const plain = name.replace(/^-+/, "").replaceAll("_", "-");
    if (!ARGUMENT.test(plain)) {
      return [{ path: at, text: `${keyPath(at)}: an argument's name has lower-case letters, digits and "-"` }];
    }
    if (path[0] === "nodeRegistration" && /[\s"'\\$]/.test(entry.value)) {
      // kubeadm writes the kubelet's arguments into one variable, which systemd splits.
      return [{ path: at, text: `${keyPath(at)}: the value of --${plain} must have no blanks, quotes, "$" or "\\"` }];
    }
    const labels = path[0] === "nodeRegistration" && plain === "node-labels"
      ? nodeLabelsProblem(entry.value)
      : undefined;
    if (labels !== undefined) return [{ path: at, text: `${keyPath(at)}: ${labels}` }];
    const isOwned = names.some((own) => own.endsWith("*") ? plain.startsWith(own.slice(0, -1)) : plain === own);
    if (!isOwned) return [];
    return [{ path: at, text: `${keyPath(at)}: --${plain} cannot be set: the bootstrapper or kubeadm sets it` }];
  });
}

function volumeProblems(kind: KubeadmKind, fields: Mapping): readonly Problem[] {
  if (kind !== "ClusterConfiguration") return [];
  return Object.entries(NEEDED_PATHS).flatMap(([component, needed]) => {
    const path = [component, "extraVolumes"];
    const list = valueAt(fields, path);
    if (!Array.isArray(list)) return [];
    return list.flatMap((entry: unknown, index) => {
      const reason = volumeProblem(component, needed, isMapping(entry) ? entry : {});
      const at = [...path, index];
      return reason === undefined ? [] : [{ path: at, text: `${keyPath(at)}: ${reason}` }];
    });
  });
}

function volumeProblem(
  component: string,
  needed: readonly string[],
  { name, hostPath, mountPath }: Mapping,
): string | undefined {
  const isOurs = name === "bootstrapper" ||
    [hostPath, mountPath].some((folder) => typeof folder === "string" && overlaps(folder, OWN_FOLDER));
  if (component === "apiServer" && isOurs) return "name and folder are those of the bootstrapper's own volume";
  const hidden = typeof mountPath === "string" ? needed.find((path) => hides(mountPath, path)) : undefined;
  return hidden === undefined ? undefined : `a volume at ${String(mountPath)} hides ${hidden}, which the program needs`;
}

/** Whether one of the folders is the other, or in it. */
function overlaps(folder: string, own: string): boolean {
  return normalize(`${folder}/`).startsWith(`${own}/`) || (normalize(folder) !== "/" && hides(folder, own));
}

/** Whether a path is at or in what is mounted at a folder. */
function hides(folder: string, path: string): boolean {
  return `${path}/`.startsWith(normalize(`${folder}/`));
}

/** Kubernetes' admission of nodes keeps a kubelet to its own objects. It is on unless a list leaves it out. */
function admissionProblems(kind: KubeadmKind, fields: Mapping): readonly Problem[] {
  const path = ["apiServer", "extraArgs"];
  const list = kind === "ClusterConfiguration" ? valueAt(fields, path) : undefined;
  if (!Array.isArray(list)) return [];
  return list.flatMap((entry: unknown, index) => {
    const { name, value } = isMapping(entry) ? entry : {};
    const at = [...path, index];
    const isList = typeof name === "string" && /^-*enable[-_]admission[-_]plugins$/.test(name);
    if (!isList || typeof value !== "string" || value.split(",").includes("NodeRestriction")) return [];
    return [{ path: at, text: `${keyPath(at)}: the list must have NodeRestriction, as it replaces kubeadm's` }];
  });
}

/** What is a mapping or a list in kubeadm's documents. Another value there would be lost beside ours. */
const MAPPINGS = [
  ...["apiServer", "controllerManager", "scheduler", "etcd", "etcd.local", "networking", "dns", "proxy"],
  ...["nodeRegistration", "patches", "timeouts", "featureGates"],
];
const LISTS = ["apiServer.certSANs", "apiServer.extraVolumes", "nodeRegistration.taints"];

function formProblems(kind: KubeadmKind, fields: Mapping): readonly Problem[] {
  if (KEYS[kind] === undefined) return [];
  const wrong = (keys: readonly string[], isRight: (value: unknown) => boolean, form: string) =>
    keys.flatMap((key) => {
      const path = key.split(".");
      const value = valueAt(fields, path);
      return value === undefined || isRight(value) ? [] : [{ path, text: `${key}: it must be ${form}` }];
    });
  return [...wrong(MAPPINGS, isMapping, "a mapping"), ...wrong(LISTS, Array.isArray, "a list")];
}

function ignoredProblems(fields: Mapping): readonly Problem[] {
  const path = ["nodeRegistration", "ignorePreflightErrors"];
  const list = valueAt(fields, path);
  if (!Array.isArray(list) || !list.some((name) => String(name).toLowerCase() === "all")) return [];
  return [{ path, text: `${keyPath(path)}: name the checks; "all" is not taken` }];
}

/**
 * Lays an operator's fields under the bootstrapper's: mappings are joined, lists follow each other, and of two other values
 * the bootstrapper's counts.
 */
export function laidUnder(own: Mapping, operators: Mapping | undefined): Mapping {
  if (operators === undefined) return own;
  const joined: Record<string, unknown> = { ...operators };
  for (const [key, value] of Object.entries(own)) {
    const theirs = operators[key];
    if (isMapping(value) && isMapping(theirs)) joined[key] = laidUnder(value, theirs);
    else if (Array.isArray(value) && Array.isArray(theirs)) joined[key] = joinedLists(value, theirs);
    else joined[key] = value;
  }
  return joined;
}

function joinedLists(own: readonly unknown[], theirs: readonly unknown[]): readonly unknown[] {
  return [...own, ...theirs.filter((value) => typeof value !== "string" || !own.includes(value))];
}

/** Returns a value in mappings; `undefined` where there is none. */
export function valueAt(fields: unknown, path: readonly string[]): unknown {
  return path.reduce<unknown>((value, key) => isMapping(value) ? value[key] : undefined, fields);
}

function isMapping(value: unknown): value is Mapping {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
