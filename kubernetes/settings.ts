/**
 * The cluster document: an operator's settings for a new cluster.
 *
 * @module
 */
import type { GenericSchema } from "valibot";
import * as v from "valibot";
import type { KeyHints, Problem } from "../platform/document.ts";
import { readDocument } from "../platform/document.ts";
import { parseEndpoint } from "../platform/endpoint.ts";
import type { Endpoint } from "../platform/endpoint.ts";
import { endpointText } from "../platform/endpoint.ts";
import { checkedText, problemIn } from "../platform/checked_text.ts";
import { familyParts, familyPartsProblem } from "../platform/dual_stack.ts";
import type { Network } from "../platform/ip_address.ts";
import { readNetwork } from "../platform/ip_address.ts";
import { shown } from "../platform/label.ts";
import { present } from "../platform/present.ts";
import { isClusterFile, readClusterFile } from "./_cluster_file.ts";
import type { KubeadmDocuments } from "./kubeadm_documents.ts";

/** A duration in whole hours, minutes and seconds, as kubeadm itself writes them: `4m`, `4m0s`, `1h30m`. */
const DURATION = /^(?=\d)(?:(\d{1,5})h)?(?:(\d{1,5})m)?(?:(\d{1,5})s)?$/;
const LONGEST_SECONDS = 99_999 * 3600;

const duration = v.pipe(
  v.string('must be a duration in whole hours, minutes and seconds, as in "4m" or "4m0s"'),
  v.check(
    (text) => secondsOf(text) >= 1 && secondsOf(text) <= LONGEST_SECONDS,
    ({ input }) => `must be a duration in whole hours, minutes and seconds, as in "4m" or "4m0s"; seen ${shown(input)}`,
  ),
);

/** The seconds of a duration; NaN if the text is none. */
function secondsOf(text: string): number {
  const [, hours = 0, minutes = 0, seconds = 0] = DURATION.exec(text) ?? [undefined, NaN];
  return Number(hours) * 3600 + Number(minutes) * 60 + Number(seconds);
}

/**
 * A network, or two for dual stack, as the clusters that are there may have them: bits after the prefix were accepted
 * once.
 */
const subnet = checkedText(
  (text) => familyPartsProblem(text, problemIn(readNetwork), (part) => networkOf(part).family),
  ({ received }) =>
    received === "Array"
      ? "must be one text: write two networks with a comma between them, without brackets"
      : `must be a network in CIDR notation, as in "10.244.0.0/16"; seen ${received}`,
);

/** A network that the schema has accepted. */
function networkOf(text: string): Network {
  const network = readNetwork(text);
  if (typeof network === "string") throw new TypeError(network);
  return network;
}

/** The networks of a `podSubnet` or a `serviceSubnet`: one, or one of each family for dual stack. */
export function subnetsOf(text: string): readonly [Network, ...Network[]] {
  const [first = "", ...others] = familyParts(text);
  return [networkOf(first), ...others.map(networkOf)];
}

const API_SERVER_PORT = 6443;

/** Reads a `controlPlaneEndpoint`. Returns a clause if it is none. */
export function readApiEndpoint(text: string): Endpoint | string {
  return parseEndpoint(text, { usualPort: API_SERVER_PORT });
}

const endpoint = v.pipe(
  checkedText(
    problemIn(readApiEndpoint),
    ({ received }) => `must be a host and a port, as in "k8s.example.org:6443"; seen ${received}`,
  ),
  v.transform((text) => {
    const read = readApiEndpoint(text);
    return typeof read === "string" ? text : endpointText(read);
  }),
);

/** kubeadm's time limits, by the names in its `timeouts`, as durations of the form `4m`. */
export interface KubeadmTimeouts {
  /** Until the API server, the controller manager and the scheduler are healthy. Default: 10m. */
  readonly controlPlaneComponentHealthCheck: string;
  /** Until the kubelet is healthy. Default: 6m. */
  readonly kubeletHealthCheck: string;
  /** For one request to the API server. Default: 4m. */
  readonly kubernetesAPICall: string;
  /** For one request to etcd. Default: 6m. */
  readonly etcdAPICall: string;
  /** Until the kubelet gets its certificate. Default: 10m. */
  readonly tlsBootstrap: string;
  /** Until the API server is found. Default: 5m. */
  readonly discovery: string;
}

/** The timing of etcd's members. */
export interface EtcdPatience {
  /** How often the leader sends a heartbeat, in milliseconds. etcd's default: 100. */
  readonly heartbeatIntervalMs: number;
  /** How long a member waits for a heartbeat before it starts an election, in milliseconds. etcd's default: 1000. */
  readonly electionTimeoutMs: number;
}

/** The timing of leader elections among controller managers and among schedulers, as durations of the form `15s`. */
export interface LeaderElection {
  /** How long the others wait before they take over a lead that was not renewed. Kubernetes' default: 15s. */
  readonly leaseDuration: string;
  /** How long the leader tries to renew its lead before it exits. Kubernetes' default: 10s. */
  readonly renewDeadline: string;
  /** The time between two attempts. Kubernetes' default: 2s. */
  readonly retryPeriod: string;
}

/** The default cluster document. */
export const DEFAULT_CLUSTER_DOCUMENT = "kubernetesVersion: v1.36.3\npodSubnet: 10.244.0.0/16\n";

/** An operator's settings for a new cluster. */
export interface ClusterSettings {
  /** For example `v1.36.3`. */
  readonly kubernetesVersion: string;
  /** `host:port`. Default: the initialising node's address with port 6443. */
  readonly controlPlaneEndpoint?: string;
  /** CIDR, or two with a comma between them; see {@linkcode subnetsOf}. Default: none. */
  readonly podSubnet?: string;
  /** The same; the first one has the family of the nodes' first addresses. Default: kubeadm's. */
  readonly serviceSubnet?: string;
  /** Whether kubeadm installs kube-proxy. Default: yes. */
  readonly kubeProxy: boolean;
  /** Whether kubeadm installs CoreDNS. Default: yes. */
  readonly coreDns: boolean;
  /** kubeadm's time limits. */
  readonly timeouts: KubeadmTimeouts;
  /** The timing of etcd's members. Default: etcd's. */
  readonly etcd?: EtcdPatience;
  /** The timing of leader elections. Default: Kubernetes'. */
  readonly leaderElection?: LeaderElection;
  /** How long a node's certificates last, as a duration of the form `168h`. Default: seven days. */
  readonly nodeCertificateLifetime: string;
  /** kubeadm's own documents, which are laid under what the bootstrapper sets. */
  readonly kubeadm?: KubeadmDocuments;
}

/**
 * The defaults are longer than kubeadm's own. Two cores in software emulation need the longer ones; a healthy machine
 * needs neither.
 */
const timeoutsSchema = v.strictObject({
  controlPlaneComponentHealthCheck: v.optional(duration, "10m"),
  kubeletHealthCheck: v.optional(duration, "6m"),
  kubernetesAPICall: v.optional(duration, "4m"),
  etcdAPICall: v.optional(duration, "6m"),
  tlsBootstrap: v.optional(duration, "10m"),
  discovery: v.optional(duration, "5m"),
});

/**
 * etcd refuses longer election timeouts, and those shorter than `HEARTBEATS_OF_ELECTION` heartbeats (`maxElectionMs`
 * and `Validate` in its `config.go`).
 */
const LONGEST_ELECTION_MS = 50_000;
const HEARTBEATS_OF_ELECTION = 5;

const milliseconds = v.pipe(v.number(), v.integer("must be whole"), v.minValue(1, "must be 1 or more"));

const etcdSchema = v.pipe(
  v.strictObject({
    heartbeatIntervalMs: milliseconds,
    electionTimeoutMs: v.pipe(milliseconds, v.maxValue(LONGEST_ELECTION_MS, `must be at most ${LONGEST_ELECTION_MS}`)),
  }),
  v.forward(
    v.check(
      ({ heartbeatIntervalMs, electionTimeoutMs }) => electionTimeoutMs >= HEARTBEATS_OF_ELECTION * heartbeatIntervalMs,
      `must be at least ${HEARTBEATS_OF_ELECTION} times heartbeatIntervalMs`,
    ),
    ["electionTimeoutMs"],
  ),
);

/**
 * `renewDeadline` must be longer than this many times `retryPeriod` (`JitterFactor` in client-go's
 * `leaderelection.go`).
 */
const RENEW_JITTER = 1.2;
/** client-go's NewLeaderElector refuses other values: a controller manager would exit at each start. */
const leaderElectionSchema = v.pipe(
  v.strictObject({ leaseDuration: duration, renewDeadline: duration, retryPeriod: duration }),
  v.forward(
    v.check(
      ({ leaseDuration, renewDeadline }) => secondsOf(leaseDuration) > secondsOf(renewDeadline),
      "must be longer than renewDeadline",
    ),
    ["leaseDuration"],
  ),
  v.forward(
    v.check(
      ({ renewDeadline, retryPeriod }) => secondsOf(renewDeadline) > RENEW_JITTER * secondsOf(retryPeriod),
      `must be longer than ${RENEW_JITTER} times retryPeriod`,
    ),
    ["renewDeadline"],
  ),
);

const SECONDS_OF_HOUR = 3600;
const LONGEST_NODE_CERTIFICATE_HOURS = 365 * 24;
/** The longest lifetime of a node's certificates that the settings allow, milliseconds. */
export const LONGEST_NODE_CERTIFICATE_MS: number = LONGEST_NODE_CERTIFICATE_HOURS * SECONDS_OF_HOUR * 1000;

const nodeCertificateLifetime = v.pipe(
  duration,
  v.check(
    (text) => secondsOf(text) >= SECONDS_OF_HOUR && secondsOf(text) <= LONGEST_NODE_CERTIFICATE_HOURS * SECONDS_OF_HOUR,
    `must be from 1h to ${LONGEST_NODE_CERTIFICATE_HOURS}h`,
  ),
);

/** A released version; its minor version is the first group. */
export const RELEASE = /^v1\.([1-9][0-9]{0,2})\.(?:0|[1-9][0-9]{0,2})$/;
function versionProblem(text: string): string | undefined {
  if (RELEASE.test(text)) return undefined;
  const rule = 'must be a released version, as in "v1.36.3"';
  if (RELEASE.test(`v${text}`)) return `${rule}: write v${text}`;
  if (/^(?:v?1\.\d+\.\d+)[-+]/.test(text)) return `${rule}: only releases are supported, not ${shown(text)}`;
  if (/^(?:stable|latest|ci|release)\b/.test(text)) {
    return `${rule}: no version is looked up on a network; seen ${shown(text)}`;
  }
  if (/^v?1\.\d+$/.test(text)) return `${rule}: the last number is missing in ${shown(text)}`;
  return `${rule}; seen ${shown(text)}`;
}

/** The form of a cluster document. */
export const settingsSchema: GenericSchema<unknown, ClusterSettings> = v.strictObject({
  kubernetesVersion: checkedText(
    versionProblem,
    ({ received }) => `must be a released version, as in "v1.36.3"; seen ${received}`,
  ),
  controlPlaneEndpoint: v.exactOptional(endpoint),
  podSubnet: v.exactOptional(subnet),
  serviceSubnet: v.exactOptional(subnet),
  kubeProxy: v.optional(v.boolean(), true),
  coreDns: v.optional(v.boolean(), true),
  timeouts: v.optional(timeoutsSchema, {}),
  etcd: v.exactOptional(etcdSchema),
  leaderElection: v.exactOptional(leaderElectionSchema),
  nodeCertificateLifetime: v.optional(nodeCertificateLifetime, "168h"),
});

const NOT_SETTABLE =
  "this is kubeadm's: write it in a ClusterConfiguration of kubeadm.k8s.io/v1beta4, in the same file after a line ---";
/** What to write instead of keys of kubeadm's documents, and of other tools. */
const HINTS: KeyHints = {
  podCIDR: "it is podSubnet",
  podCidr: "it is podSubnet",
  clusterCIDR: "it is podSubnet",
  serviceCIDR: "it is serviceSubnet",
  serviceCidr: "it is serviceSubnet",
  networking: "podSubnet and serviceSubnet stand at the top",
  clusterName: "the cluster's name is --name of `bootstrapper init`",
  name: "the cluster's name is --name of `bootstrapper init`",
  nodeName: "the node's name is in its own configuration: node.name, or its host name",
  version: "it is kubernetesVersion",
  ...Object.fromEntries(
    [
      ...["imageRepository", "dnsDomain", "apiServer", "controllerManager", "scheduler", "certSANs", "featureGates"],
      ...["proxyMode", "extraArgs", "extraVolumes", "certificatesDir", "dns", "proxy", "patches", "nodeRegistration"],
    ].map((key) => [key, NOT_SETTABLE]),
  ),
};

const CLUSTER_DOCUMENT = "the cluster document";
/** `DefaultServicesSubnet` in kubeadm's `apis/kubeadm/v1beta4/defaults.go`. */
export const KUBEADM_SERVICE_SUBNET = "10.96.0.0/12";

/** The time limits of a joining node that got no others. */
export const defaultTimeouts: KubeadmTimeouts = Object.freeze(v.parse(timeoutsSchema, {}));

/**
 * Reads a cluster file: the cluster document, and kubeadm's own documents, each at most once, with lines `---` between
 * them. What both can say, such as `kubernetesVersion`, is said in one of them.
 *
 * @param text YAML.
 * @param what The file's name for errors, such as its path.
 * @param check Further checks of settings that the schema accepts.
 * @throws {BootstrapError} `usage/document` with all problems, their lines, and the path of the first wrong key.
 */
export function readClusterSettings(
  text: string,
  what: string = CLUSTER_DOCUMENT,
  check?: (settings: ClusterSettings) => readonly Problem[],
): ClusterSettings {
  const read = (own: string) =>
    readDocument(own, settingsSchema, what, { kind: "cluster", hints: HINTS, ...present("check", check) });
  return isClusterFile(text) ? readClusterFile(text, what, read) : read(text);
}

/** How long the certificates of a cluster's nodes last, milliseconds. */
export function nodeCertificateLifetimeMs({ nodeCertificateLifetime }: ClusterSettings): number {
  return secondsOf(nodeCertificateLifetime) * 1000;
}
