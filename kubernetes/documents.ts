/**
 * The documents that kubeadm reads: kinds of `kubeadm.k8s.io/v1beta4`, and the kubelet's configuration.
 *
 * They contain no secrets and never a bootstrap token.
 *
 * @module
 */
import { stringify } from "yaml";
import { hostAndPort } from "../platform/host.ts";
import { present } from "../platform/present.ts";
import { AUTHORIZATION_FILE, AUTHORIZATION_FOLDER } from "./authorization_configuration.ts";
import { KUBEADM_API_VERSIONS, laidUnder, type Mapping } from "./kubeadm_documents.ts";
import { KUBELET_FOLDER, nodeCertificatePath } from "./kubelet_credentials.ts";
import type { ClusterSettings, EtcdPatience, KubeadmTimeouts, LeaderElection } from "./settings.ts";

const KUBEADM_API = "kubeadm.k8s.io/v1beta4";
const KUBELET_API = "kubelet.config.k8s.io/v1beta1";
/** The port of every API server. */
export const API_SERVER_PORT = 6443;
const SERVING_PEM = nodeCertificatePath(KUBELET_FOLDER, "serving");

/** containerd's CRI socket. */
export const CRI_SOCKET = "unix:///run/containerd/containerd.sock";

/** The node that a document is for. */
export interface NodeFacts {
  /** The Node's name, an RFC 1123 subdomain of at most 63 characters. */
  readonly name: string;
  /** The address by which other nodes reach it, without a port. */
  readonly address: string;
  /** Its address of the other family, in a cluster of both. */
  readonly secondAddress?: string;
  /** What `nodeRegistration` gets of the node's own configuration: labels and taints. */
  readonly registration?: Mapping;
}

/** The facts about a new cluster besides its settings. */
export interface InitFacts {
  /** The cluster's name. */
  readonly clusterName: string;
  /** The initialising node. */
  readonly node: NodeFacts;
}

/** An argument of a component, as kubeadm's documents have it. */
export interface KubeadmArgument {
  readonly name: string;
  readonly value: string;
}

/** A volume of a component, as kubeadm's documents have it. */
export interface KubeadmVolume {
  readonly name: string;
  readonly hostPath: string;
  readonly mountPath: string;
  readonly readOnly: boolean;
  readonly pathType: string;
}

const CA_CERTIFICATE = "/etc/kubernetes/pki/ca.crt";
const CA_KEY = "/etc/kubernetes/pki/ca.key";

/**
 * The controller manager signs no certificate of a kubelet, whoever asks and whoever approves: every such certificate
 * comes from an attested exchange. Its signers run only for files of their own, and those of kubelets get none. The
 * common pair, which kubeadm sets, must be empty then (`cmd/kube-controller-manager/app/certificates.go`, 1.36).
 */
export const KUBELET_SIGNERS: readonly KubeadmArgument[] = [
  { name: "cluster-signing-cert-file", value: "" },
  { name: "cluster-signing-key-file", value: "" },
  { name: "cluster-signing-kube-apiserver-client-cert-file", value: CA_CERTIFICATE },
  { name: "cluster-signing-kube-apiserver-client-key-file", value: CA_KEY },
];

/**
 * The API server talks only to kubelets whose serving certificate is under the cluster's CA. Its authorizers are in a
 * file, which holds the cut list; with it, kubeadm leaves `authorization-mode` out (`phases/controlplane/manifests.go`).
 */
export const API_SERVER_ARGUMENTS: readonly KubeadmArgument[] = [
  { name: "kubelet-certificate-authority", value: CA_CERTIFICATE },
  { name: "authorization-config", value: `${AUTHORIZATION_FOLDER}/${AUTHORIZATION_FILE}` },
];

/** A folder and not the file, so that the API server sees a file that is renamed into it. */
export const API_SERVER_VOLUMES: readonly KubeadmVolume[] = [{
  name: "bootstrapper",
  hostPath: AUTHORIZATION_FOLDER,
  mountPath: AUTHORIZATION_FOLDER,
  readOnly: true,
  pathType: "Directory",
}];

/** The host of `host:port`, without brackets. */
function hostOf(endpoint: string): string {
  return endpoint.slice(0, endpoint.lastIndexOf(":")).replace(/^\[(.*)\]$/, "$1");
}

function nodeRegistration(node: NodeFacts): Mapping {
  return laidUnder({
    name: node.name,
    criSocket: CRI_SOCKET,
    // Images are either part of the measured machine or missing. No image is fetched.
    imagePullPolicy: "Never",
    // kubeadm gives the name only if it is not the host name, and the host name may change later.
    kubeletExtraArgs: [
      { name: "node-ip", value: addressesOf(node).join(",") },
      { name: "hostname-override", value: node.name },
    ],
  }, node.registration);
}

/** The addresses of a node, the one by which others reach it first. */
export function addressesOf(
  { address, secondAddress }: Pick<NodeFacts, "address" | "secondAddress">,
): readonly string[] {
  return secondAddress === undefined ? [address] : [address, secondAddress];
}

function documents(...values: readonly Mapping[]): string {
  return values.map((value) => stringify(value)).join("---\n");
}

/** Where a control plane's own processes may reach its API server, if they reach no network. */
export const LOOPBACK = "127.0.0.1";
/** The API server of the same machine, over loopback, `host:port`. */
export const LOOPBACK_API_ENDPOINT: string = hostAndPort(LOOPBACK, API_SERVER_PORT);

/** The address of a control plane's own API server, `host:port`. */
export function ownApiEndpoint({ address }: Pick<NodeFacts, "address">): string {
  return hostAndPort(address, API_SERVER_PORT);
}

/** The API server's endpoint for nodes and operators, `host:port`: the one in the settings, or the node's own. */
export function controlPlaneEndpoint(settings: ClusterSettings, node: NodeFacts): string {
  return settings.controlPlaneEndpoint ?? ownApiEndpoint(node);
}

/** The InitConfiguration with which kubeadm lists images. It looks at nothing of the machine then. */
export function imagesDocument(node: NodeFacts): Record<string, unknown> {
  return {
    apiVersion: KUBEADM_API,
    kind: "InitConfiguration",
    nodeRegistration: nodeRegistration(node),
    localAPIEndpoint: { advertiseAddress: node.address, bindPort: API_SERVER_PORT },
  };
}

/**
 * Writes the documents of `kubeadm init`, as YAML: InitConfiguration, ClusterConfiguration, KubeletConfiguration, and the
 * operator's KubeProxyConfiguration. The operator's fields are laid under ours.
 */
export function initDocuments(settings: ClusterSettings, facts: InitFacts): string {
  const endpoint = controlPlaneEndpoint(settings, facts.node);
  const election = settings.leaderElection === undefined ? [] : electionArguments(settings.leaderElection);
  const { ClusterConfiguration, InitConfiguration, KubeletConfiguration, KubeProxyConfiguration } = settings.kubeadm ??
    {};
  return documents(
    laidUnder({ ...imagesDocument(facts.node), timeouts: settings.timeouts }, InitConfiguration),
    laidUnder({
      apiVersion: KUBEADM_API,
      kind: "ClusterConfiguration",
      clusterName: facts.clusterName,
      kubernetesVersion: settings.kubernetesVersion,
      controlPlaneEndpoint: endpoint,
      encryptionAlgorithm: "ECDSA-P256",
      networking: {
        ...present("podSubnet", settings.podSubnet),
        ...present("serviceSubnet", settings.serviceSubnet),
      },
      apiServer: {
        certSANs: [...new Set([...addressesOf(facts.node), facts.node.name, hostOf(endpoint), LOOPBACK])],
        extraArgs: API_SERVER_ARGUMENTS,
        extraVolumes: API_SERVER_VOLUMES,
      },
      controllerManager: { extraArgs: [...KUBELET_SIGNERS, ...election] },
      ...(election.length === 0 ? {} : { scheduler: { extraArgs: election } }),
      ...(settings.etcd === undefined ? {} : { etcd: { local: { extraArgs: etcdArguments(settings.etcd) } } }),
      dns: { disabled: !settings.coreDns },
      proxy: { disabled: !settings.kubeProxy },
    }, ClusterConfiguration),
    laidUnder({
      apiVersion: KUBELET_API,
      kind: "KubeletConfiguration",
      // The kubelet requests no certificate. kubeadm writes `rotateCertificates: true` whatever stands here; the drop-in
      // in `deploy/kubelet.service.d/` overrides it.
      rotateCertificates: false,
      serverTLSBootstrap: false,
      tlsCertFile: SERVING_PEM,
      tlsPrivateKeyFile: SERVING_PEM,
    }, { cgroupDriver: "systemd", ...KubeletConfiguration }),
    ...(KubeProxyConfiguration === undefined ? [] : [{
      apiVersion: KUBEADM_API_VERSIONS.KubeProxyConfiguration,
      kind: "KubeProxyConfiguration",
      ...KubeProxyConfiguration,
    }]),
  );
}

function etcdArguments({ heartbeatIntervalMs, electionTimeoutMs }: EtcdPatience): readonly Record<string, string>[] {
  return [
    { name: "heartbeat-interval", value: `${heartbeatIntervalMs}` },
    { name: "election-timeout", value: `${electionTimeoutMs}` },
  ];
}

function electionArguments(election: LeaderElection): readonly Record<string, string>[] {
  return [
    { name: "leader-elect-lease-duration", value: election.leaseDuration },
    { name: "leader-elect-renew-deadline", value: election.renewDeadline },
    { name: "leader-elect-retry-period", value: election.retryPeriod },
  ];
}

/** The facts that a node needs to join. */
export interface JoinFacts {
  /** The joining node. */
  readonly node: NodeFacts;
  /** The absolute path of the ticket's kubeconfig, with which kubeadm reaches the cluster. */
  readonly discoveryKubeconfigPath: string;
  /** kubeadm's time limits. */
  readonly timeouts: KubeadmTimeouts;
  /** The operator's JoinConfiguration for all nodes of the cluster. */
  readonly joinConfiguration?: Mapping;
}

/**
 * Writes the document of `kubeadm join`: JoinConfiguration with discovery by file, as YAML.
 *
 * @param role A control plane's API server listens on the node's address, port 6443. The document does not contain the
 *   cluster's keys, which are installed below `/etc/kubernetes/pki` beforehand.
 */
export function joinDocument(facts: JoinFacts, role: "worker" | "control-plane" = "worker"): string {
  const localAPIEndpoint = { advertiseAddress: facts.node.address, bindPort: API_SERVER_PORT };
  return documents(laidUnder({
    apiVersion: KUBEADM_API,
    kind: "JoinConfiguration",
    discovery: { file: { kubeConfigPath: facts.discoveryKubeconfigPath } },
    nodeRegistration: nodeRegistration(facts.node),
    ...(role === "worker" ? {} : { controlPlane: { localAPIEndpoint } }),
    timeouts: facts.timeouts,
  }, facts.joinConfiguration));
}
