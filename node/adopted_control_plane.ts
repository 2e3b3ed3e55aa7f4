/**
 * The steps by which root adopts a control plane that kubeadm made, on that machine. Each can be repeated; the journal
 * says how far an earlier call came. The kubelet comes last: with the units of this project, it starts only on a machine
 * that is locked.
 *
 * | step | |
 * |---|---|
 * | `adopt-api-certificate` | kubeadm makes the API server a certificate that has the loopback address too: signers call no other |
 * | `adopt-record` | the node's record gets the identity of this machine |
 * | `adopt-join-service` | makes the join service's credentials and state, and starts it |
 * | `adopt-kubelet-config` | nodes that join from now on serve with the certificate of their ticket |
 * | `adopt-member` | records that this machine is a member |
 * | `adopt-lock` | takes the node lock, and measures it |
 * | `adopt-kubelet` | the kubelet gets certificates by the cluster's CA, and is started again |
 *
 * @module
 */
import * as v from "valibot";
import type { MeasurementRegisters } from "../attestation/evidence.ts";
import type { CertificateAuthority } from "../certificate/ca.ts";
import { clusterIdOf } from "../certificate/cluster_id.ts";
import { writePem } from "../certificate/pem.ts";
import type { Journal } from "../journal/journal.ts";
import type { Sequence } from "../journal/sequence.ts";
import type { NodeCertificateRecord } from "../kubernetes/admission_records.ts";
import { AdmissionRecords } from "../kubernetes/admission_records.ts";
import type { Adoption } from "../kubernetes/adoption_store.ts";
import { KubernetesApi } from "../kubernetes/api.ts";
import { readClusterConfiguration, withLoopbackName } from "../kubernetes/cluster_configuration.ts";
import type { ClusterConfiguration } from "../kubernetes/cluster_configuration.ts";
import { addressesOf, LOOPBACK_API_ENDPOINT, ownApiEndpoint } from "../kubernetes/documents.ts";
import { currentEpoch } from "../kubernetes/epochs.ts";
import type { KubeadmPhases } from "../kubernetes/kubeadm_phases.ts";
import { liveClusterConfiguration } from "../kubernetes/kubeadm_config.ts";
import { writeKubeletKubeconfig } from "../kubernetes/kubelet_credentials.ts";
import { ownApiCredentials } from "../kubernetes/own_api.ts";
import { renewOwnCertificates } from "../kubernetes/own_node_certificates.ts";
import { waitForApi, waitForKubelet } from "../kubernetes/readiness.ts";
import { nodeCertificateLifetimeMs, readClusterSettings } from "../kubernetes/settings.ts";
import { openNodeLock } from "../nodelock/lock.ts";
import { measureTrust } from "../nodelock/measure.ts";
import type { Clock } from "../platform/clock.ts";
import type { CommandRunner } from "../platform/command.ts";
import { BootstrapError } from "../platform/errors.ts";
import { MINUTE_MS } from "../platform/duration.ts";
import { present } from "../platform/present.ts";
import type { NodeSelf } from "../protocol/node_self.ts";
import type { TrustPart } from "../protocol/transcript.ts";
import type { Founding } from "../proto/gen/bootstrapper.ts";
import { useOwnCertificates, usesOwnCertificates, withOwnCertificates } from "./adopted_kubelet.ts";
import { hasJoinService, installJoinService } from "./join_service_install.ts";
import { recordMembership } from "./membership.ts";
import type { NodePaths } from "./paths.ts";
import { recordIssuedCertificates } from "./renewal_record.ts";

/** The input of the steps of {@linkcode ADOPTION_SEQUENCE}. */
export interface AdoptedControlPlane {
  readonly paths: NodePaths;
  readonly self: NodeSelf;
  /** The trust part of this machine's configuration. */
  readonly trust: TrustPart;
  /** The registers that the machine measures into; absent if it has none. */
  readonly registers?: MeasurementRegisters;
  /** The UUID that the firmware gives the machine, if it gives one. */
  readonly machineId?: string;
  /** The identity of this machine, 64 hexadecimal digits. */
  readonly identity: string;
  /** Whether that identity is the hardware's, so that a disk in another machine is noticed. */
  readonly isOfHardware: boolean;
  /** The cluster's CA with its key, from this machine's disk. */
  readonly ca: CertificateAuthority;
  readonly adoption: Adoption;
  /** The foundings of this machine's operators, checked. */
  readonly foundings: readonly Founding[];
  /** The policy, YAML. */
  readonly policyDocument: string;
  readonly kubeadm: KubeadmPhases;
  readonly commands: CommandRunner;
  readonly clock: Clock;
  readonly journal: Pick<Journal, "detail">;
  readonly signal: AbortSignal;
}

const KUBEADM_DEADLINE_MS = 5 * MINUTE_MS;
/** The deadline of one try. After each try, a line says what the step waits for. */
const READY_DEADLINE_MS = MINUTE_MS;
const API_DEADLINE_MS = 15_000;

/** The steps. */
export const ADOPTION_SEQUENCE: Sequence<AdoptedControlPlane> = Object.freeze({
  "adopt-api-certificate": {
    holds: ({ kubeadm }) => kubeadm.hasLoopbackName(),
    run: makeApiCertificate,
  },
  "adopt-record": { run: takeRecord },
  "adopt-join-service": { holds: ({ paths }) => hasJoinService(paths.joinService), run: makeJoinService },
  "adopt-kubelet-config": { run: changeKubeletConfiguration },
  "adopt-member": {
    run: async ({ paths, clock, self, identity, isOfHardware, machineId }) => {
      const facts = { ...present("identity", isOfHardware ? identity : undefined), ...present("machineId", machineId) };
      await recordMembership(paths.state, clock, { nodeName: self.name, role: self.role, ...facts });
    },
  },
  "adopt-lock": { run: takeLock },
  "adopt-kubelet": { holds: ({ paths, clock }) => usesOwnCertificates(paths, clock), run: changeKubelet },
});

/** Waits until the API server of this machine answers: it may have been started again just now. */
export async function waitForOwnApi(
  { paths, self, signal, clock }: Pick<AdoptedControlPlane, "paths" | "self" | "signal" | "clock">,
): Promise<void> {
  await waitForApi(await ownApiCredentials(paths.kubernetes, self), { clock, signal, deadlineMs: READY_DEADLINE_MS });
}

/** Calls the API server of this machine as its administrator. */
export async function withOwnApi<T>(
  { paths, self, signal }: Pick<AdoptedControlPlane, "paths" | "self" | "signal">,
  work: (api: KubernetesApi) => Promise<T>,
): Promise<T> {
  const credentials = await ownApiCredentials(paths.kubernetes, self);
  using api = new KubernetesApi(credentials, { signal, deadlineMs: API_DEADLINE_MS });
  return await work(api);
}

async function makeApiCertificate(adopted: AdoptedControlPlane): Promise<void> {
  const { kubeadm, self, signal, journal, clock, paths } = adopted;
  const configuration = withLoopbackName(await liveConfiguration(adopted));
  const run = { deadlineMs: KUBEADM_DEADLINE_MS, signal };
  if (!await kubeadm.hasLoopbackName()) await kubeadm.renewApiServerCertificate(configuration, self, run);
  await kubeadm.uploadConfiguration(configuration, self, run);
  journal.detail("adopt-api-certificate", `waiting until the API server answers at ${LOOPBACK_API_ENDPOINT}`);
  const credentials = {
    ...await ownApiCredentials(paths.kubernetes, self),
    server: `https://${LOOPBACK_API_ENDPOINT}`,
  };
  await waitForApi(credentials, { clock, signal, deadlineMs: READY_DEADLINE_MS });
}

/** kubeadm's configuration of the cluster, as it is there now. */
export async function liveConfiguration(
  adopted: Pick<AdoptedControlPlane, "paths" | "self" | "signal">,
): Promise<ClusterConfiguration> {
  return readClusterConfiguration(await withOwnApi(adopted, liveClusterConfiguration));
}

async function takeRecord(adopted: AdoptedControlPlane): Promise<void> {
  const { self, identity } = adopted;
  await withOwnApi(adopted, async (api) => {
    const records = new AdmissionRecords(api, adopted.clock);
    if ((await records.admittedAs(self.name))?.identity === identity) return;
    await records.nameSuccessor(self.name, identity);
    await records.adopt({
      ...{ identity, nodeName: self.name, role: self.role, addresses: addressesOf(self), nodeKey: "" },
      evidenceDigest: "",
    });
  });
}

/** The certificates are those of any control plane: the CA is on its disk, and they attest nothing. */
async function changeKubelet(adopted: AdoptedControlPlane): Promise<void> {
  const { paths, self, ca, adoption, clock, commands, signal, journal } = adopted;
  const settings = readClusterSettings(adoption.clusterDocument);
  const certificates = await withOwnApi(adopted, async (api) => {
    const records = new AdmissionRecords(api, clock);
    const own = await records.admittedAs(self.name);
    if (own === undefined) throw noRecord(self.name);
    const record = (certificates: readonly NodeCertificateRecord[]) =>
      records.recordCertificates(own.identity, own.uid, certificates);
    return await renewOwnCertificates({ ca, paths, now: clock.now(), record }, {
      ...{ nodeName: self.name, addresses: addressesOf(self), admissionUid: own.uid },
      ...{ epoch: await currentEpoch(api), lifetimeMs: nodeCertificateLifetimeMs(settings) },
    });
  });
  const issued = { certificates, joinEndpoints: adoption.joinEndpoints, issuedBy: "own-ca" } as const;
  await recordIssuedCertificates(paths.state, issued, { now: clock.now(), random: Math.random() });
  const caPem = writePem("CERTIFICATE", ca.certificate.der);
  await writeKubeletKubeconfig(paths, { server: `https://${ownApiEndpoint(self)}`, caPem });
  await useOwnCertificates(paths, commands);
  journal.detail("adopt-kubelet", "waiting until the kubelet is healthy");
  await waitForKubelet({ clock, signal, deadlineMs: READY_DEADLINE_MS });
}

async function makeJoinService(adopted: AdoptedControlPlane): Promise<void> {
  const { paths, self, trust, clock, commands, ca, foundings, policyDocument, adoption } = adopted;
  const clusterId = await clusterIdOf(ca.certificate);
  await installJoinService({
    ...{ folder: paths.joinService, nodeName: self.name, address: self.address },
    ...{ trust: { ...trust, clusterId }, clock, commands },
  }, { ...adoption, ca, foundings, policyDocument });
}

const KUBELET_CONFIG = "/api/v1/namespaces/kube-system/configmaps/kubelet-config";
const kubeletConfigSchema = v.object({ data: v.object({ kubelet: v.string() }) });

async function changeKubeletConfiguration(adopted: AdoptedControlPlane): Promise<void> {
  await withOwnApi(adopted, async (api) => {
    const { data: { kubelet } } = await api.get(KUBELET_CONFIG, kubeletConfigSchema);
    const changed = withOwnCertificates(kubelet, "the ConfigMap kube-system/kubelet-config");
    if (changed !== kubelet) await api.merge(KUBELET_CONFIG, { data: { kubelet: changed } }, v.unknown());
  });
}

async function takeLock({ paths, clock, trust, registers, ca }: AdoptedControlPlane): Promise<void> {
  if (registers !== undefined) await measureTrust(registers, trust);
  const lock = await openNodeLock({ folder: paths.state, clock, ...present("registers", registers) });
  if (lock.state().name === "locked") return;
  await lock.take({ owner: "join", clusterId: await clusterIdOf(ca.certificate) });
}

function noRecord(nodeName: string): BootstrapError {
  return new BootstrapError("precondition/no-such-node", `The cluster has no record of ${nodeName}`, {
    next: "Run `bootstrapper adopt cluster` again: it makes the records that are missing",
    details: { node: nodeName },
  });
}
