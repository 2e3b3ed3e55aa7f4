/**
 * What this node does to found a cluster, whoever asked for it.
 *
 * @module
 */
import type { FoundClusterDependencies } from "../init/found_cluster.ts";
import { readNodeCertificate } from "../kubernetes/kubelet_credentials.ts";
import type { EvidenceIssuer } from "../attestation/evidence.ts";
import { NO_IDENTITY } from "../attestation/evidence.ts";
import { identityOfKey, readOrCreateIdentityKey } from "../protocol/node_keys.ts";
import { errorFields } from "../platform/log.ts";
import type { Founding } from "../proto/gen/bootstrapper.ts";
import { recordFounder } from "./founder.ts";
import { hasJoinService, installJoinService, JOIN_SERVICE_PORT } from "./join_service_install.ts";
import { systemdKubelet } from "./kubelet.ts";
import { recordIssuedCertificates } from "./renewal_record.ts";
import type { Contender } from "./run_dependencies.ts";
import { statusRefusal } from "./status.ts";

/** Records the certificates that a founder made for its own kubelet. */
export async function recordFounderCertificates(
  { paths, clock }: Pick<Contender["deps"], "paths" | "clock">,
  joinEndpoints: readonly string[],
): Promise<void> {
  const [client, serving] = await Promise.all([
    readNodeCertificate(paths, "client"),
    readNodeCertificate(paths, "serving"),
  ]);
  if (client === undefined || serving === undefined) return;
  const issued = { certificates: { client, serving }, joinEndpoints, issuedBy: "own-ca" } as const;
  await recordIssuedCertificates(paths.state, issued, { now: clock.now(), random: Math.random() });
}

/**
 * Returns what `foundCluster()` needs on this node.
 *
 * @param foundings The operators' statements about the new cluster, for its join service.
 */
export function foundingHere(
  { deps, issuer, kubeadm, status }: Contender,
  foundings: readonly Founding[],
): FoundClusterDependencies {
  const { configuration: { trust }, self, paths, commands, clock, log } = deps;
  const kubelet = systemdKubelet({ self, paths, kubeadm, commands, clock });
  return {
    node: self,
    kubernetesFolder: paths.kubernetes,
    kubeletFolder: paths.kubelet,
    kubeadm,
    clock,
    random: Math.random,
    identity: () => identityOf(issuer, paths.state),
    enableKubelet: () => kubelet.enable(),
    joinServicePort: JOIN_SERVICE_PORT,
    onWaiting: (wait) => {
      if (wait === undefined) return void status.update({ waitsFor: undefined, lastRefusal: undefined });
      const { step, error, failures, pauseMs } = wait;
      log.event("warn", "init-step-not-done", { ...errorFields(error), step, failures, pauseMs });
      status.update({
        waitsFor: `another try of the step ${step}, after ${failures} failed`,
        lastRefusal: statusRefusal(error, clock.now()),
      });
    },
    installJoinService: async ({ ca, request }, { apiEndpoints, joinEndpoints }) => {
      if (!await hasJoinService(paths.joinService)) await recordFounder(paths.state);
      await installJoinService({
        folder: paths.joinService,
        nodeName: self.name,
        address: self.address,
        trust,
        clock,
        commands,
      }, {
        ca,
        foundings,
        apiEndpoints,
        joinEndpoints,
        policyDocument: request.policyDocument,
        clusterDocument: request.clusterDocument,
      });
    },
  };
}

/** The identity by which a join service will know this machine. */
async function identityOf(issuer: EvidenceIssuer, stateFolder: string): Promise<string> {
  if (issuer.identityIsKey !== true) return await issuer.ownIdentity(NO_IDENTITY);
  return await issuer.ownIdentity(await identityOfKey((await readOrCreateIdentityKey(stateFolder)).spki));
}
