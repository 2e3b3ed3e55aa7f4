/**
 * The end of an adoption, by root on each control plane: kubelets' certificates come from attested exchanges alone, and
 * the API server refuses nodes that have none.
 *
 * | step | |
 * |---|---|
 * | `finish-configuration` | kubeadm's configuration in the cluster names the cut list, and no signer of kubelets' certificates |
 * | `finish-api-server` | the API server of this machine takes it into use |
 * | `finish-controller-manager` | so does its controller manager |
 * | `finish-bindings` | nothing approves certificates that kubelets ask for |
 *
 * @module
 */
import type { Sequence } from "../journal/sequence.ts";
import { applyClusterRbac } from "../kubernetes/cluster_rbac.ts";
import type { ClusterConfiguration } from "../kubernetes/cluster_configuration.ts";
import { withoutKubeletSigner } from "../kubernetes/cluster_configuration.ts";
import { LOOPBACK_API_ENDPOINT } from "../kubernetes/documents.ts";
import { currentEpoch } from "../kubernetes/epochs.ts";
import { installFirstAuthorization } from "../kubernetes/first_authorization.ts";
import type { ObjectApi } from "../kubernetes/admission_records.ts";
import { nodesWithoutRecord } from "../kubernetes/named_node.ts";
import { NodeAdmissions } from "../kubernetes/node_admissions.ts";
import { ownApiCredentials } from "../kubernetes/own_api.ts";
import { waitForApi } from "../kubernetes/readiness.ts";
import { MINUTE_MS } from "../platform/duration.ts";
import { BootstrapError } from "../platform/errors.ts";
import type { AdoptedControlPlane } from "./adopted_control_plane.ts";
import { liveConfiguration, withOwnApi } from "./adopted_control_plane.ts";

/** What the steps of {@linkcode ADOPTION_END} work with. */
export type EndingAdoption = Pick<
  AdoptedControlPlane,
  "paths" | "self" | "kubeadm" | "commands" | "clock" | "journal" | "signal"
>;

const KUBEADM_DEADLINE_MS = 5 * MINUTE_MS;
const READY_DEADLINE_MS = MINUTE_MS;

/** The steps. */
export const ADOPTION_END: Sequence<EndingAdoption> = Object.freeze({
  "finish-configuration": {
    run: async (ending) => {
      const { kubeadm, self, signal } = ending;
      const run = { deadlineMs: KUBEADM_DEADLINE_MS, signal };
      await kubeadm.uploadConfiguration(await ended(ending), self, run);
    },
  },
  "finish-api-server": {
    run: async (ending) => {
      const { kubeadm, self, signal, paths, clock, journal } = ending;
      const configuration = await ended(ending);
      // Without the file, the API server does not start.
      await installFirstAuthorization(paths.kubernetes, await withOwnApi(ending, currentEpoch));
      await kubeadm.writeManifest("apiserver", configuration, self, { deadlineMs: KUBEADM_DEADLINE_MS, signal });
      journal.detail("finish-api-server", "waiting until the API server runs with its new flags");
      const server = `https://${LOOPBACK_API_ENDPOINT}`;
      const credentials = { ...await ownApiCredentials(paths.kubernetes, self), server };
      await waitForApi(credentials, { clock, signal, deadlineMs: READY_DEADLINE_MS });
    },
  },
  "finish-controller-manager": {
    run: async (ending) => {
      const { kubeadm, self, signal } = ending;
      const run = { deadlineMs: KUBEADM_DEADLINE_MS, signal };
      await kubeadm.writeManifest("controller-manager", await ended(ending), self, run);
    },
  },
  "finish-bindings": {
    run: (ending) =>
      withOwnApi(ending, async (api) => {
        for (const name of APPROVING_BINDINGS) await api.remove(`${BINDINGS}/${name}`);
        const { clock, signal } = ending;
        await applyClusterRbac(api, { clock, signal, deadlineMs: READY_DEADLINE_MS });
      }),
  },
});

const BINDINGS = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings";
/** kubeadm's, by which bootstrap tokens ask for certificates and the controller manager approves them. */
const APPROVING_BINDINGS = ["kubeadm:kubelet-bootstrap", "kubeadm:node-autoapprove-bootstrap"] as const;

async function ended(ending: EndingAdoption): Promise<ClusterConfiguration> {
  return withoutKubeletSigner(await liveConfiguration(ending));
}

/**
 * Checks that no node needs the cluster's own signer any more: each Node has a record, and a certificate that is on it.
 *
 * @throws {BootstrapError} `precondition/adoption-unfinished` with the names; the errors of `KubernetesApi`.
 */
export async function checkAllProven(api: ObjectApi): Promise<void> {
  const admissions = (await new NodeAdmissions(api).list()).filter(({ removedMs }) => removedMs === undefined);
  const proven = admissions.filter(({ record, status }) =>
    record.adoptedMs === undefined && status.client !== undefined
  );
  const names = new Set(proven.map(({ record }) => record.nodeName));
  const waiting = await nodesWithoutRecord(api, names);
  if (waiting.length === 0) return;
  throw new BootstrapError(
    "precondition/adoption-unfinished",
    `These nodes have not proven themselves yet: ${waiting.join(", ")}`,
    {
      next: "On each of them run `bootstrapper adopt here`; remove one that is gone with `bootstrapper node remove`",
      details: { nodes: waiting.join(", ") },
    },
  );
}
