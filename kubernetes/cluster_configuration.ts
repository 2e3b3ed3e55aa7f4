/**
 * kubeadm's ClusterConfiguration of a cluster that kubeadm made: what is read of it, and how it changes when the cluster
 * is adopted. Keys that are not known here stay as they are.
 *
 * @module
 */
import * as v from "valibot";
import { stringify } from "yaml";
import { BootstrapError } from "../platform/errors.ts";
import { present } from "../platform/present.ts";
import { readYaml } from "../platform/yaml.ts";
import type { KubeadmArgument } from "./documents.ts";
import { API_SERVER_ARGUMENTS, API_SERVER_VOLUMES, KUBELET_SIGNERS, LOOPBACK } from "./documents.ts";

/** Keys that are only kept. */
export interface Kept {
  /** Whatever kubeadm or an administrator wrote. */
  readonly [key: string]: unknown;
}

/** A component of the control plane. */
export interface ComponentConfiguration extends Kept {
  readonly extraArgs: readonly KubeadmArgument[];
}

/** kubeadm's ClusterConfiguration, with the keys that are read of it. An empty text stands for a key that is not there. */
export interface ClusterConfiguration extends Kept {
  readonly apiVersion: string;
  readonly kubernetesVersion: string;
  readonly controlPlaneEndpoint: string;
  readonly certificatesDir: string;
  readonly networking: Kept & { readonly podSubnet: string; readonly serviceSubnet: string };
  readonly etcd: Kept & { readonly external?: unknown };
  readonly apiServer: ComponentConfiguration & {
    readonly certSANs: readonly string[];
    readonly extraVolumes: readonly (Kept & { readonly name: string })[];
  };
  readonly controllerManager: ComponentConfiguration;
  readonly dns: Kept & { readonly disabled?: boolean };
  readonly proxy: Kept & { readonly disabled?: boolean };
}

const argument = v.object({ name: v.string(), value: v.string() });
const component = v.looseObject({ extraArgs: v.optional(v.array(argument), []) });

const schema: v.GenericSchema<unknown, ClusterConfiguration> = v.looseObject({
  apiVersion: v.string(),
  kind: v.literal("ClusterConfiguration"),
  kubernetesVersion: v.string(),
  controlPlaneEndpoint: v.optional(v.string(), ""),
  certificatesDir: v.optional(v.string(), ""),
  networking: v.optional(
    v.looseObject({ podSubnet: v.optional(v.string(), ""), serviceSubnet: v.optional(v.string(), "") }),
    {},
  ),
  etcd: v.optional(v.looseObject({ external: v.exactOptional(v.unknown()) }), {}),
  apiServer: v.optional(
    v.looseObject({
      ...component.entries,
      certSANs: v.optional(v.array(v.string()), []),
      extraVolumes: v.optional(v.array(v.looseObject({ name: v.string() })), []),
    }),
    {},
  ),
  controllerManager: v.optional(component, {}),
  dns: v.optional(v.looseObject({ disabled: v.exactOptional(v.boolean()) }), {}),
  proxy: v.optional(v.looseObject({ disabled: v.exactOptional(v.boolean()) }), {}),
});

/** The version of kubeadm's documents that is read and written. */
export const KUBEADM_API_VERSION = "kubeadm.k8s.io/v1beta4";

/**
 * Reads a ClusterConfiguration, YAML.
 *
 * @throws {BootstrapError} `malformed/kubeadm-config`, with the key.
 */
export function readClusterConfiguration(text: string): ClusterConfiguration {
  let value: unknown;
  try {
    value = readYaml(text);
  } catch (cause) {
    throw malformed("it is not YAML", "", cause);
  }
  const result = v.safeParse(schema, value);
  if (result.success) return result.output;
  const key = v.getDotPath(result.issues[0]) ?? "";
  throw malformed(`"${key}" has another form than kubeadm v1.31 and later write`, key);
}

/** The settings of the cluster as this project knows them: the cluster document, YAML. */
export function clusterDocumentOf(configuration: ClusterConfiguration): string {
  const { kubernetesVersion, controlPlaneEndpoint, networking, dns, proxy } = configuration;
  const text = (value: string) => value === "" ? undefined : value;
  return stringify({
    kubernetesVersion,
    ...present("controlPlaneEndpoint", text(controlPlaneEndpoint)),
    ...present("podSubnet", text(networking.podSubnet)),
    ...present("serviceSubnet", text(networking.serviceSubnet)),
    kubeProxy: proxy.disabled !== true,
    coreDns: dns.disabled !== true,
  });
}

/** The configuration whose API servers have a certificate for the loopback address too: signers call no other. */
export function withLoopbackName(configuration: ClusterConfiguration): ClusterConfiguration {
  const { apiServer } = configuration;
  const certSANs = [...new Set([...apiServer.certSANs, LOOPBACK])];
  return { ...configuration, apiServer: { ...apiServer, certSANs } };
}

/**
 * The configuration of an adoption that ends: API servers read their authorizers from the file with the cut list and
 * check kubelets' certificates, and no controller manager signs a certificate of a kubelet.
 */
export function withoutKubeletSigner(configuration: ClusterConfiguration): ClusterConfiguration {
  const { apiServer, controllerManager } = withLoopbackName(configuration);
  const names = API_SERVER_VOLUMES.map(({ name }) => name);
  return {
    ...configuration,
    apiServer: {
      ...apiServer,
      extraArgs: replaced(
        // The API server refuses a mode beside the file. kubeadm leaves its own out where the file is named.
        apiServer.extraArgs.filter(({ name }) => name !== "authorization-mode"),
        API_SERVER_ARGUMENTS,
      ),
      extraVolumes: [
        ...apiServer.extraVolumes.filter(({ name }) => !names.includes(name)),
        ...API_SERVER_VOLUMES.map((volume) => ({ ...volume })),
      ],
    },
    controllerManager: {
      ...controllerManager,
      extraArgs: replaced(controllerManager.extraArgs, KUBELET_SIGNERS),
    },
  };
}

/** Writes a ClusterConfiguration as YAML. Defaults that only this program's reader filled in are left out. */
export function clusterConfigurationText(configuration: ClusterConfiguration): string {
  return stringify(withoutEmpty(configuration));
}

function replaced(before: readonly KubeadmArgument[], added: readonly KubeadmArgument[]): KubeadmArgument[] {
  const names = added.map(({ name }) => name);
  return [...before.filter(({ name }) => !names.includes(name)), ...added.map((one) => ({ ...one }))];
}

function withoutEmpty(value: object): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(value).flatMap(([key, one]: [string, unknown]) => {
      if (one === "" || one === undefined || (Array.isArray(one) && one.length === 0)) return [];
      if (typeof one !== "object" || one === null || Array.isArray(one)) return [[key, one]];
      return [[key, withoutEmpty(one)]];
    }),
  );
}

function malformed(reason: string, key: string, cause?: unknown): BootstrapError {
  return new BootstrapError(
    "malformed/kubeadm-config",
    `Cannot read kubeadm's ClusterConfiguration in kube-system/kubeadm-config: ${reason}`,
    {
      cause,
      next: "Write it anew in the form of kubeadm v1.31 or later: `kubeadm config migrate`, then " +
        "`kubeadm init phase upload-config kubeadm` on a control plane",
      details: { key },
    },
  );
}
