import { stringify } from "yaml";
import { ENDPOINT } from "./_balancer.ts";
import type { RunOperator } from "./run_operator.ts";

/** In the network for documentation (RFC 5737): nothing answers. */
const DEAD_PROXY = "http://192.0.2.1:3128";
const PROXIES = ["HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"];

/** Writes the operator's settings of a cluster behind a load balancer. */
export async function settle({ laptop }: RunOperator, more: Readonly<Record<string, string>> = {}): Promise<void> {
  const settings = {
    kubernetesVersion: "v1.36.3",
    podSubnet: "10.244.0.0/16",
    kubeProxy: false,
    coreDns: false,
    controlPlaneEndpoint: `${ENDPOINT}:6443`,
    // So that kubeadm gives up soon enough for a test.
    timeouts: { discovery: "20s", kubernetesAPICall: "20s" },
    ...more,
  };
  await laptop.write("/etc/bootstrapper/operator/cluster.yaml", stringify(settings));
}

/** Starts a process with a proxy in its environment. */
export function proxied<T>(start: () => T): T {
  const before = PROXIES.map((name) => Deno.env.get(name));
  for (const name of PROXIES) Deno.env.set(name, DEAD_PROXY);
  try {
    return start();
  } finally {
    for (const [index, name] of PROXIES.entries()) {
      const value = before[index];
      if (value === undefined) Deno.env.delete(name);
      else Deno.env.set(name, value);
    }
  }
}
