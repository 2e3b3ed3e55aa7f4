/**
 * What the manifest of a network plug-in must have in common with the cluster's settings. Known are flannel and Cilium;
 * others are applied as they are.
 *
 * @module
 */
import * as v from "valibot";
import type { Network } from "../platform/ip_address.ts";
import { readNetwork } from "../platform/ip_address.ts";
import { readJson } from "../platform/json.ts";
import type { ManifestObject } from "./manifest.ts";
import { manifestError, objectText } from "./manifest.ts";
import type { ClusterSettings } from "./settings.ts";
import { subnetsOf } from "./settings.ts";

/** The settings that a network plug-in depends on. */
export type NetworkSettings = Pick<ClusterSettings, "podSubnet" | "kubeProxy">;

const NET_CONF = "net-conf.json";
const MAXIMUM_NET_CONF_BYTES = 1 << 16;

const netConfSchema = v.looseObject({
  Network: v.exactOptional(v.string()),
  EnableIPv4: v.exactOptional(v.boolean()),
  IPv6Network: v.exactOptional(v.string()),
  EnableIPv6: v.exactOptional(v.boolean()),
});

/**
 * Checks the manifest of a new cluster's network plug-in against its settings.
 *
 * @returns What an operator should know although it may work, as sentences without a full stop.
 * @throws {BootstrapError} `usage/manifest` if no Pod would get an address that others reach.
 */
export function checkNetworkManifest(objects: readonly ManifestObject[], settings: NetworkSettings): readonly string[] {
  return objects.filter(({ kind, apiVersion }) => kind === "ConfigMap" && apiVersion === "v1").flatMap((map) => {
    const data = dataOf(map);
    if (data[NET_CONF] !== undefined) return flannelRemarks(map, data[NET_CONF], settings);
    return map.name === "cilium-config" ? ciliumRemarks(data, settings) : [];
  });
}

function flannelRemarks(
  map: ManifestObject,
  text: string,
  { podSubnet, kubeProxy }: NetworkSettings,
): readonly string[] {
  const what = `${objectText(map)}: ${NET_CONF}`;
  const conf = readJson(text, {
    schema: netConfSchema,
    maximumBytes: MAXIMUM_NET_CONF_BYTES,
    error: (reason) => manifestError(map.place, `${what}: ${reason}`),
  });
  const networks = [
    ...(conf.EnableIPv4 === false ? [] : [["Network", conf.Network] as const]),
    ...(conf.EnableIPv6 === true ? [["IPv6Network", conf.IPv6Network] as const] : []),
  ];
  const pods = podSubnet === undefined ? [] : subnetsOf(podSubnet);
  const seen = networks.map(([key, value]) => {
    const network = value === undefined ? "it is missing" : readNetwork(value);
    if (typeof network === "string") throw manifestError(map.place, `${what}: ${key}: ${network}`);
    return network;
  });
  const sorted = (list: readonly Network[]) => list.map((one) => one.text).toSorted().join(",");
  if (sorted(seen) !== sorted(pods)) {
    throw manifestError(
      map.place,
      `flannel's network ${sorted(seen)} (${what}) is not the cluster's podSubnet ${podSubnet ?? "(none)"}`,
      "Write the same network into both, see docs/network.md",
    );
  }
  return kubeProxy
    ? []
    : ["flannel makes no Services reachable, and kubeProxy is false: Pods will not reach the API server"];
}

function ciliumRemarks(data: Readonly<Record<string, string>>, { podSubnet, kubeProxy }: NetworkSettings): string[] {
  const replaces = data["kube-proxy-replacement"] === "true" || data["kube-proxy-replacement"] === "strict";
  const pool = [data["cluster-pool-ipv4-cidr"], data["cluster-pool-ipv6-cidr"]].filter((one) => one !== undefined)
    .join(",").replaceAll(" ", ",");
  return [
    ...(replaces && kubeProxy
      ? ["Cilium replaces kube-proxy, and kubeProxy is not false: both would make Services reachable"]
      : []),
    ...(!replaces && !kubeProxy
      ? ["Cilium does not replace kube-proxy, and kubeProxy is false: Pods will not reach the API server"]
      : []),
    ...(data.ipam === "cluster-pool" && pool !== (podSubnet ?? "")
      ? [`Cilium's pool of addresses ${pool} is not the cluster's podSubnet ${podSubnet ?? "(none)"}`]
      : []),
  ];
}

function dataOf({ body }: ManifestObject): Readonly<Record<string, string>> {
  const result = v.safeParse(v.record(v.string(), v.string()), body.data);
  return result.success ? result.output : {};
}
