/**
 * The cluster document: what an operator decides about a new cluster.
 *
 * @module
 */
import { isIP } from "node:net";
import * as v from "valibot";
import { readDocument } from "../platform/document.ts";

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

/**
 * How long kubeadm waits, by the names of its `timeouts`. The defaults are longer than kubeadm's own, because two cores
 * in software emulation need them; a healthy machine never gets near either.
 */
const timeoutsSchema = v.strictObject({
  controlPlaneComponentHealthCheck: v.optional(duration, "10m"),
  kubeletHealthCheck: v.optional(duration, "6m"),
  kubernetesAPICall: v.optional(duration, "4m"),
  etcdAPICall: v.optional(duration, "6m"),
  tlsBootstrap: v.optional(duration, "10m"),
  discovery: v.optional(duration, "5m"),
});

/** The schema of the cluster document. */
export const clusterSettingsSchema = v.strictObject({
  kubernetesVersion: v.pipe(
    v.string(),
    v.regex(/^v1\.[1-9][0-9]{0,2}\.(?:0|[1-9][0-9]{0,2})$/, 'must be a released version, as in "v1.36.3"'),
  ),
  controlPlaneEndpoint: v.optional(
    v.pipe(v.string(), v.check(isHostAndPort, 'must be a host and a port, as in "k8s.example.org:6443"')),
  ),
  podSubnet: v.optional(subnet),
  serviceSubnet: v.optional(subnet),
  kubeProxy: v.optional(v.boolean(), true),
  coreDns: v.optional(v.boolean(), true),
  timeouts: v.optional(timeoutsSchema, {}),
});

/** What an operator decides about a new cluster. */
export type ClusterSettings = v.InferOutput<typeof clusterSettingsSchema>;

/** How long kubeadm waits, as durations of the form `4m`. */
export type KubeadmTimeouts = ClusterSettings["timeouts"];

/** The timeouts of a node that joins and was not told others. */
export const defaultTimeouts: KubeadmTimeouts = Object.freeze(v.parse(timeoutsSchema, {}));

/**
 * Reads a cluster document.
 *
 * @param text YAML.
 * @throws {BootstrapError} `usage/…` naming the key's path.
 */
export function readClusterSettings(text: string): ClusterSettings {
  return readDocument(text, clusterSettingsSchema, "cluster document");
}
