/**
 * The cluster document: an operator's settings for a new cluster.
 *
 * @module
 */
import { isIP } from "node:net";
import * as v from "valibot";
import { readDocument } from "../platform/document.ts";
import { BootstrapError } from "../platform/errors.ts";
import { doNetworksOverlap } from "../platform/ip_address.ts";

const duration = v.pipe(
  v.string(),
  v.regex(/^[1-9][0-9]{0,4}[smh]$/, 'must be a whole number and "s", "m" or "h", as in "4m"'),
);

/** An IPv4 or IPv6 network in CIDR notation. */
function isSubnet(text: string): boolean {
  const [address = "", length = "", ...rest] = text.split("/");
  const family = isIP(address);
  if (rest.length > 0 || family === 0 || !/^(?:0|[1-9][0-9]{0,2})$/.test(length)) return false;
  return Number(length) <= (family === 4 ? 32 : 128);
}

const subnet = v.pipe(v.string(), v.check(isSubnet, 'must be a network in CIDR notation, as in "10.244.0.0/16"'));

/** RFC 1123 subdomain: labels of letters, digits and hyphens, 253 characters at most. */
const HOST_NAME = /^(?=.{1,253}$)[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*$/;

function isHostAndPort(text: string): boolean {
  const [, bracketed, plain, port] = /^(?:\[([^\]]+)\]|([^:]+)):([1-9][0-9]{0,4})$/.exec(text) ?? [];
  if (port === undefined || Number(port) > 65535) return false;
  return bracketed !== undefined ? isIP(bracketed) === 6 : HOST_NAME.test(plain ?? "");
}

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
  /** CIDR. Default: none. */
  readonly podSubnet?: string;
  /** CIDR. Default: kubeadm's. */
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
const SECONDS_OF_UNIT: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600 };

function secondsOf(text: string): number {
  return Number(text.slice(0, -1)) * (SECONDS_OF_UNIT[text.slice(-1)] ?? Number.NaN);
}

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

const settingsSchema = v.strictObject({
  kubernetesVersion: v.pipe(
    v.string(),
    v.regex(/^v1\.[1-9][0-9]{0,2}\.(?:0|[1-9][0-9]{0,2})$/, 'must be a released version, as in "v1.36.3"'),
  ),
  controlPlaneEndpoint: v.exactOptional(
    v.pipe(v.string(), v.check(isHostAndPort, 'must be a host and a port, as in "k8s.example.org:6443"')),
  ),
  podSubnet: v.exactOptional(subnet),
  serviceSubnet: v.exactOptional(subnet),
  kubeProxy: v.optional(v.boolean(), true),
  coreDns: v.optional(v.boolean(), true),
  timeouts: v.optional(timeoutsSchema, {}),
  etcd: v.exactOptional(etcdSchema),
  leaderElection: v.exactOptional(leaderElectionSchema),
  nodeCertificateLifetime: v.optional(nodeCertificateLifetime, "168h"),
});

const CLUSTER_DOCUMENT = "the cluster document";
/** `DefaultServicesSubnet` in kubeadm's `apis/kubeadm/v1beta4/defaults.go`. */
export const KUBEADM_SERVICE_SUBNET = "10.96.0.0/12";

/** The time limits of a joining node that got no others. */
export const defaultTimeouts: KubeadmTimeouts = Object.freeze(v.parse(timeoutsSchema, {}));

/**
 * Reads a cluster document.
 *
 * @param text YAML.
 * @param what The document's name for errors, such as its path.
 * @throws {BootstrapError} `usage/document` with the key's path.
 */
export function readClusterSettings(text: string, what: string = CLUSTER_DOCUMENT): ClusterSettings {
  return readDocument(text, settingsSchema, what);
}

/**
 * Reads the cluster document of a new cluster. What clusters that are there may have is refused here if it cannot work:
 * networks of Pods and of Services that overlap.
 *
 * @throws {BootstrapError} `usage/document` with the key's path.
 */
export function readNewClusterSettings(text: string, what: string = CLUSTER_DOCUMENT): ClusterSettings {
  const settings = readClusterSettings(text, what);
  const { podSubnet, serviceSubnet = KUBEADM_SERVICE_SUBNET } = settings;
  if (podSubnet === undefined || !doNetworksOverlap(podSubnet, serviceSubnet)) return settings;
  const services = settings.serviceSubnet === undefined ? `the default serviceSubnet` : "serviceSubnet";
  throw new BootstrapError(
    "usage/document",
    `Cannot use ${what}: podSubnet ${podSubnet} overlaps ${services} ${serviceSubnet}`,
    { next: "Choose two networks that share no address", details: { document: what, key: "podSubnet" } },
  );
}

/** How long the certificates of a cluster's nodes last, milliseconds. */
export function nodeCertificateLifetimeMs({ nodeCertificateLifetime }: ClusterSettings): number {
  return secondsOf(nodeCertificateLifetime) * 1000;
}
