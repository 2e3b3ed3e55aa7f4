/**
 * What this node does to found a cluster, whoever asked for it.
 *
 * @module
 */
import type { FoundClusterDependencies } from "../init/found_cluster.ts";
import { readNodeCertificate } from "../kubernetes/kubelet_credentials.ts";
import { errorFields } from "../platform/log.ts";
import type { Founding } from "../proto/gen/bootstrapper.ts";
import { recordFounder } from "./founder.ts";
import { hasJoinService, installJoinService, JOIN_SERVICE_PORT, stageJoinService } from "./join_service_install.ts";
import { systemdKubelet } from "./kubelet.ts";
import { machineIdentity } from "./machine_identity.ts";
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

/** Who says that the new cluster is one, and whether its join service may start. */
export interface FoundedBy {
  /** The operators' statements about the new cluster. */
  readonly foundings: readonly Founding[];
  /** The founding token's statement about it, if there is a token. */
  readonly tokenFounding?: Uint8Array;
  /** Whether the join service is only staged, and starts later. */
  readonly isStaged?: boolean;
}

/** Returns what `foundCluster()` needs on this node. */
export function foundingHere(
  { deps, issuer, kubeadm, status }: Contender,
  { isStaged = false, ...statements }: FoundedBy,
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
    identity: () => machineIdentity(issuer, paths.state),
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
      const install = isStaged ? stageJoinService : installJoinService;
      await install({
        folder: paths.joinService,
        nodeName: self.name,
        address: self.address,
        trust,
        clock,
        commands,
      }, {
        ca,
        ...statements,
        apiEndpoints,
        joinEndpoints,
        policyDocument: request.policyDocument,
        clusterDocument: request.clusterDocument,
      });
    },
  };
}
