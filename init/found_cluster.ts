/**
 * The steps that make the cluster after the node is locked for an init. Each step can be repeated, and is retried as
 * long as time may fix its failure. The steps call this node's own API server, never the cluster's endpoint.
 *
 * | step | |
 * |---|---|
 * | `certificates` | installs the cluster's CA where kubeadm expects it, the kubelet's first certificates, and the API server's authorizers |
 * | `kubeadm-init` | kubeadm makes the control plane |
 * | `access` | creates RBAC, the policy's ConfigMap, and this node's admission record, which the kubelet's certificates name from now on |
 * | `join-service` | makes the join service's credentials and state, and starts it |
 * | `kubelet` | waits until the kubelet is healthy and its Node is registered: the cluster stands |
 *
 * @module
 */
import { join } from "node:path";
import { privateKeyPem } from "../certificate/keys.ts";
import { writePem } from "../certificate/pem.ts";
import { AdmissionRecords } from "../kubernetes/admission_records.ts";
import type { NodeCertificateRecord } from "../kubernetes/admission_records.ts";
import { KubernetesApi } from "../kubernetes/api.ts";
import { installPkiFile } from "../kubernetes/cluster_keys.ts";
import { applyClusterRbac } from "../kubernetes/cluster_rbac.ts";
import { addressesOf, controlPlaneEndpoint, initDocuments, ownApiEndpoint } from "../kubernetes/documents.ts";
import type { NodeFacts } from "../kubernetes/documents.ts";
import { currentEpoch } from "../kubernetes/epochs.ts";
import type { Kubeadm } from "../kubernetes/kubeadm.ts";
import { hasKubeletCredentials, writeKubeletKubeconfig } from "../kubernetes/kubelet_credentials.ts";
import type { KubeletPaths } from "../kubernetes/kubelet_credentials.ts";
import { renewOwnCertificates } from "../kubernetes/own_node_certificates.ts";
import type { OwnNode } from "../kubernetes/own_node_certificates.ts";
import { FIRST_EPOCH } from "../kubernetes/epochs.ts";
import { hasAuthorization, installFirstAuthorization } from "../kubernetes/first_authorization.ts";
import { adminKubeconfig, ownApiCredentials } from "../kubernetes/own_api.ts";
import { createPolicyConfigMap } from "../kubernetes/policy_config_map.ts";
import { waitForKubelet, waitForNode } from "../kubernetes/readiness.ts";
import { nodeCertificateLifetimeMs, readClusterSettings } from "../kubernetes/settings.ts";
import type { Journal } from "../journal/journal.ts";
import { runSequence } from "../journal/sequence.ts";
import type { Sequence } from "../journal/sequence.ts";
import { utf8 } from "../platform/bytes.ts";
import type { Clock } from "../platform/clock.ts";
import { exists } from "../platform/files.ts";
import { hostAndPort } from "../platform/host.ts";
import type { CertificateAuthority } from "../certificate/ca.ts";
import type { KeyPair } from "../certificate/keys.ts";
import type { InitRequest } from "../proto/gen/bootstrapper.ts";
import type { FoundedCluster } from "./init_server.ts";
import { retryingSteps } from "./step_retries.ts";
import type { StepWait } from "./step_retries.ts";

/** The deadline of one try. Emulated machines take minutes where a healthy machine takes ten seconds. */
const KUBEADM_DEADLINE_MS = 20 * 60 * 1000;
/** The deadline of one try. After each try, the journal says what the step waits for. */
const READY_DEADLINE_MS = 60 * 1000;

/** A cluster that is to be made: an operator's request asks for it, or founders among equals do. */
export interface ClusterPlan {
  /** The cluster's CA, made on this node. */
  readonly ca: CertificateAuthority<KeyPair>;
  /** The cluster's name, its settings and its first policy. */
  readonly request: Pick<InitRequest, "clusterName" | "clusterDocument" | "policyDocument">;
}

/** What {@linkcode foundCluster} needs. */
export interface FoundClusterDependencies {
  readonly node: NodeFacts;
  /**
   * The identity by which a join service will know this machine, lower-case hexadecimal: the one that its evidence
   * names, or that of its identity key.
   */
  readonly identity: () => Promise<string>;
  /** Kubernetes' configuration folder. */
  readonly kubernetesFolder: string;
  /** The folder of the kubelet's state. */
  readonly kubeletFolder: string;
  readonly kubeadm: Pick<Kubeadm, "init">;
  /** Makes the kubelet start at every boot. */
  enableKubelet(): Promise<void>;
  readonly joinServicePort: number;
  /** Makes the join service's credentials and state, and starts the service. */
  installJoinService(staged: ClusterPlan, cluster: ClusterEndpoints): Promise<void>;
  readonly clock: Clock;
  /** The source of the jitter between tries: numbers from 0 to 1. */
  readonly random: () => number;
  /** Called with each step that waits for another try, and with `undefined` when the wait is over. */
  onWaiting(wait: StepWait | undefined): void;
}

/** Where a cluster is reached. */
export type ClusterEndpoints = Omit<FoundedCluster, "standsSince">;

/** The kubeadm documents of an init. */
export function documentsOf({ request }: Pick<ClusterPlan, "request">, node: NodeFacts): string {
  const { clusterName, clusterDocument } = request;
  return initDocuments(readClusterSettings(clusterDocument), { clusterName, node });
}

/** The input of the steps of {@linkcode INIT_SEQUENCE}. */
export interface FoundingInit extends FoundClusterDependencies {
  /** What is to be made. */
  readonly staged: ClusterPlan;
  /** Where the cluster will be reached. */
  readonly cluster: ClusterEndpoints;
  /** Records what a step does and what it waits for. */
  readonly journal: Pick<Journal, "detail">;
  /** Ends a step. */
  readonly signal: AbortSignal;
}

/** The steps of an init after its lock. */
export const INIT_SEQUENCE: Sequence<FoundingInit> = Object.freeze({
  "certificates": {
    holds: async (init) =>
      await hasCa(init) && await hasKubeletCredentials(pathsOf(init)) && await hasAuthorization(init.kubernetesFolder),
    run: async (init) => {
      await installCa(init);
      await installKubeletCredentials(init);
      await installFirstAuthorization(init.kubernetesFolder, FIRST_EPOCH);
    },
  },
  "kubeadm-init": {
    holds: ({ kubernetesFolder }) => exists(adminKubeconfig(kubernetesFolder)),
    run: async ({ enableKubelet, kubeadm, staged, node, journal, signal }) => {
      // The kubelet is enabled first, and forced to disk with kubeadm's files, so that the cluster comes back by itself
      // after a power cut.
      await enableKubelet();
      await kubeadm.init(documentsOf(staged, node), {
        deadlineMs: KUBEADM_DEADLINE_MS,
        signal,
        onProgress: ({ phase, detail }) => journal.detail("kubeadm-init", `${phase}: ${detail}`),
      });
    },
  },
  "access": { run: giveAccess },
  "join-service": { run: ({ installJoinService, staged, cluster }) => installJoinService(staged, cluster) },
  "kubelet": { run: waitForThisNode },
});

/** The last step. When it is done, the cluster stands. */
const LAST_STEP = "kubelet";

/**
 * Makes the cluster, or continues after an interruption.
 *
 * @throws {BootstrapError} The reason why a step failed, where time cannot fix it; the signal's reason when the signal
 *   ends it.
 */
export async function foundCluster(
  deps: FoundClusterDependencies,
  staged: ClusterPlan,
  journal: Journal,
  signal: AbortSignal,
): Promise<FoundedCluster> {
  const { node } = deps;
  const settings = readClusterSettings(staged.request.clusterDocument);
  const cluster: ClusterEndpoints = {
    nodeName: node.name,
    apiEndpoints: [controlPlaneEndpoint(settings, node)],
    joinEndpoints: [hostAndPort(node.address, deps.joinServicePort)],
  };
  if (journal.doneAt(LAST_STEP) === undefined) {
    const { clock, random } = deps;
    const onWaiting = (wait: StepWait | undefined) => deps.onWaiting(wait);
    const retrying = retryingSteps(journal, { clock, random, signal, onWaiting });
    await runSequence(INIT_SEQUENCE, { ...deps, staged, cluster, journal, signal }, retrying, signal);
  }
  return { ...cluster, standsSince: journal.doneAt(LAST_STEP) ?? deps.clock.now() };
}

async function hasCa({ kubernetesFolder }: FoundingInit): Promise<boolean> {
  const pki = join(kubernetesFolder, "pki");
  return await exists(join(pki, "ca.key")) && await exists(join(pki, "ca.crt"));
}

async function installCa({ staged: { ca }, kubernetesFolder }: FoundingInit): Promise<void> {
  const pki = join(kubernetesFolder, "pki");
  await installPkiFile(join(pki, "ca.key"), utf8(await privateKeyPem(ca.keys)));
  await installPkiFile(join(pki, "ca.crt"), utf8(writePem("CERTIFICATE", ca.certificate.der)));
}

function pathsOf({ kubernetesFolder, kubeletFolder }: FoundingInit): KubeletPaths {
  return { kubernetes: kubernetesFolder, kubelet: kubeletFolder };
}

/**
 * Makes the kubelet's first certificates. They name no admission, because there is no API server yet that could record
 * one. kubeadm keeps the kubeconfig.
 */
async function installKubeletCredentials(init: FoundingInit): Promise<void> {
  const { staged: { ca }, node, clock } = init;
  const paths = pathsOf(init);
  await renewOwnCertificates({ ca, paths, now: clock.now() }, { ...ownNode(init), epoch: FIRST_EPOCH });
  const caPem = writePem("CERTIFICATE", ca.certificate.der);
  await writeKubeletKubeconfig(paths, { server: `https://${ownApiEndpoint(node)}`, caPem });
}

function ownNode({ staged, node }: FoundingInit): Omit<OwnNode, "epoch"> {
  const settings = readClusterSettings(staged.request.clusterDocument);
  return {
    nodeName: node.name,
    addresses: addressesOf(node),
    lifetimeMs: nodeCertificateLifetimeMs(settings),
    // The clocks agreed when the CA was made, and this machine's may have jumped ahead since.
    notBefore: staged.ca.certificate.notBefore,
  };
}

async function giveAccess(init: FoundingInit): Promise<void> {
  const { node, identity: identityOf, staged: { ca, request }, clock, signal } = init;
  using api = await ownApi(init);
  await applyClusterRbac(api, { clock, signal, deadlineMs: READY_DEADLINE_MS });
  await createPolicyConfigMap(api, request.policyDocument);
  const identity = await identityOf();
  const records = new AdmissionRecords(api);
  const { uid } = await records.admitFounder({
    identity,
    nodeName: node.name,
    role: "control-plane",
    addresses: addressesOf(node),
    nodeKey: "",
    evidenceDigest: "",
  });
  const record = (certificates: readonly NodeCertificateRecord[]) =>
    records.recordCertificates(identity, uid, certificates);
  const admitted = { ...ownNode(init), admissionUid: uid, epoch: await currentEpoch(api) };
  await renewOwnCertificates({ ca, paths: pathsOf(init), now: clock.now(), record }, admitted);
}

async function waitForThisNode(init: FoundingInit): Promise<void> {
  const { node, clock, journal, signal } = init;
  const wait = { clock, signal, deadlineMs: READY_DEADLINE_MS };
  journal.detail("kubelet", "waiting until the kubelet of this node is healthy");
  await waitForKubelet(wait);
  using api = await ownApi(init);
  journal.detail("kubelet", `waiting until the Node ${node.name} is registered`);
  await waitForNode(api, node.name, "registered", wait);
}

async function ownApi({ kubernetesFolder, node, signal }: FoundingInit): Promise<KubernetesApi> {
  return new KubernetesApi(await ownApiCredentials(kubernetesFolder, node), { signal });
}
