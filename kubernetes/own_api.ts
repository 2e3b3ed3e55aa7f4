/**
 * The API server of this machine, as its control plane calls it. It is never called at the cluster's endpoint, which
 * may be a load balancer that does not know this machine yet.
 *
 * @module
 */
import { join } from "node:path";
import type { ApiCredentials } from "./api.ts";
import type { NodeFacts } from "./documents.ts";
import { ownApiEndpoint } from "./documents.ts";
import { readKubeconfig } from "./kubeconfig.ts";

/** Returns the path of the administrator's kubeconfig in Kubernetes' configuration folder. */
export function adminKubeconfig(kubernetesFolder: string): string {
  return join(kubernetesFolder, "admin.conf");
}

/**
 * Returns the administrator's credentials and the cluster's CA for the API server of this machine. The server's
 * certificate contains the address.
 *
 * @throws {BootstrapError} The same as {@linkcode readKubeconfig}.
 */
export async function ownApiCredentials(
  kubernetesFolder: string,
  node: Pick<NodeFacts, "address">,
): Promise<ApiCredentials> {
  return { ...await readKubeconfig(adminKubeconfig(kubernetesFolder)), server: `https://${ownApiEndpoint(node)}` };
}
