/**
 * Makes this node a control plane, with the real folders and programs.
 *
 * @module
 */
import type { NodeSelf } from "../protocol/node_self.ts";
import { join } from "node:path";
import type { ClusterTrust } from "../protocol/transcript.ts";
import { joinCertificateAuthority } from "../certificate/ca.ts";
import { readIssuerKeyPem } from "../certificate/issuer_key.ts";
import { writePem } from "../certificate/pem.ts";
import { admissionOf } from "../certificate/subjects.ts";
import type { EvidenceKind } from "../attestation/kind.ts";
import type { ControlPlaneMaker } from "../join/joining.ts";
import { installClusterKeys } from "../kubernetes/cluster_keys.ts";
import { KubernetesApi } from "../kubernetes/api.ts";
import { liveClusterConfiguration, liveImagesDocument } from "../kubernetes/kubeadm_config.ts";
import { readKubeconfig } from "../kubernetes/kubeconfig.ts";
import { discoveryPath } from "../join/run_folder.ts";
import { FIRST_EPOCH } from "../kubernetes/epochs.ts";
import { hasAuthorization, installFirstAuthorization } from "../kubernetes/first_authorization.ts";
import { missingImages } from "../kubernetes/images.ts";
import type { Kubeadm } from "../kubernetes/kubeadm.ts";
import { ControlPlaneJoin } from "../kubernetes/control_plane_join.ts";
import { fromUtf8 } from "../platform/bytes.ts";
import type { Clock } from "../platform/clock.ts";
import type { CommandRunner } from "../platform/command.ts";
import { endpointText } from "../platform/endpoint.ts";
import type { Log } from "../platform/log.ts";
import { present } from "../platform/present.ts";
import { withCutListKept } from "./interim_cut_list.ts";
import { hasJoinService, JOIN_SERVICE_PORT, stageJoinService, startStagedJoinService } from "./join_service_install.ts";
import type { NodePaths } from "./paths.ts";

/** What {@linkcode controlPlaneMaker} needs. */
export interface ControlPlaneFacts {
  readonly paths: NodePaths;
  readonly self: NodeSelf;
  readonly trust: ClusterTrust;
  /** Lists the images that a control plane needs. */
  readonly kubeadm: Pick<Kubeadm, "requiredImages">;
  readonly commands: CommandRunner;
  readonly clock: Clock;
  readonly log: Log;
  /** The known kinds of evidence. Default: those of `attestation/kinds.ts`. */
  readonly kinds?: readonly EvidenceKind[];
}

const PREFLIGHT_DEADLINE_MS = 5 * 60_000;
/** Returns the control plane maker of this node. */
export function controlPlaneMaker(
  { paths, self, trust, kubeadm, commands, clock, log, kinds }: ControlPlaneFacts,
): ControlPlaneMaker {
  const pki = join(paths.kubernetes, "pki");
  const installation = {
    folder: paths.joinService,
    nodeName: self.name,
    address: self.address,
    trust,
    clock,
    commands,
  };
  const controlPlane = new ControlPlaneJoin({
    commands,
    clock,
    privateFolder: paths.run,
    kubernetesFolder: paths.kubernetes,
    kubeletFolder: paths.kubelet,
    etcdFolder: paths.etcd,
  });
  const interim = { paths, clock, log, ...present("kinds", kinds) };
  let required: readonly string[] = [];
  const checkImages = async () => {
    const missing = required.length === 0 ? [] : await missingImages(commands, required, PREFLIGHT_DEADLINE_MS);
    return missing.map((image) => ({ check: "images", reason: `the container image ${image} is not on this machine` }));
  };
  return {
    async preflight(_ticket, signal) {
      // The ticket's settings are those of the founding. The cluster may have been upgraded since.
      using api = new KubernetesApi(await readKubeconfig(discoveryPath(paths.run)), { signal });
      const documents = liveImagesDocument(await liveClusterConfiguration(api), self);
      required = await kubeadm.requiredImages(documents, { deadlineMs: PREFLIGHT_DEADLINE_MS, signal });
      return await checkImages();
    },
    checkAgain: () => checkImages(),
    hasKeys: async () =>
      await hasJoinService(paths.joinService) && await controlPlane.hasClusterKeys() &&
      await hasAuthorization(paths.kubernetes),
    async installKeys(ticket) {
      const { ca, kit, clientCertificate, foundings, tokenFounding } = ticket;
      const { clusterDocument, apiEndpoints, joinEndpoints } = ticket;
      await installClusterKeys(pki, kit.keys, writePem("CERTIFICATE", ca.der));
      const admission = admissionOf(clientCertificate.subject.attributes, self.name);
      await installFirstAuthorization(paths.kubernetes, admission?.epoch ?? FIRST_EPOCH);
      const keys = await readIssuerKeyPem(fromUtf8(kit.keys.caKey, "CA key"), "CA key");
      const own = endpointText({ host: self.address, port: JOIN_SERVICE_PORT });
      await stageJoinService(installation, {
        ca: joinCertificateAuthority(ca, keys),
        foundings,
        ...present("tokenFounding", tokenFounding),
        apiEndpoints,
        clusterDocument,
        joinEndpoints: [own, ...joinEndpoints.filter((endpoint) => endpoint !== own)],
        policyDocument: kit.policyDocument,
      });
    },
    isVoter: (facts) => controlPlane.isVoter(facts),
    resume: (run) => controlPlane.resume(run),
    run: (phase, facts, run) => controlPlane.run(phase, facts, run),
    keepCutList: (work, signal) => withCutListKept(interim, signal, work),
    startJoinService: () => startStagedJoinService(installation),
  };
}
