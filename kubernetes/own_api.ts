/**
 * The API server of this very machine, as a control plane calls it: never by the cluster's endpoint, which may be a load balancer
 * that does not know this machine yet.
 *
 * @module
 */
import { join } from "node:path";
import type { ApiCredentials } from "./api.ts";
import type { NodeFacts } from "./documents.ts";
import { ownApiEndpoint } from "./documents.ts";
import { readKubeconfig } from "./kubeconfig.ts";

/** The administrator's kubeconfig in Kubernetes' configuration folder. */
export function adminKubeconfig(kubernetesFolder: string): string {
  return join(kubernetesFolder, "admin.conf");
}

/**
 * The administrator's credentials and the cluster's CA, for the API server of this machine; its certificate names the address.
 *
 * @throws {BootstrapError} As {@linkcode readKubeconfig}.
 */
export async function ownApiCredentials(
  kubernetesFolder: string,
  node: Pick<NodeFacts, "address">,
): Promise<ApiCredentials> {
  return { ...await readKubeconfig(adminKubeconfig(kubernetesFolder)), server: `https://${ownApiEndpoint(node)}` };
}
