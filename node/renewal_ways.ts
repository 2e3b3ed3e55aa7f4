/**
 * The two ways to new certificates, with the real effects.
 *
 * @module
 */
import type { EvidenceIssuer } from "../attestation/evidence.ts";
import { addressesOf } from "../kubernetes/documents.ts";
import type { AdmissionGroups } from "../certificate/subjects.ts";
import { admissionOf, nodeNameOf } from "../certificate/subjects.ts";
import { obtainRenewal } from "../join/renewal.ts";
import { AdmissionRecords } from "../kubernetes/admission_records.ts";
import type { NodeCertificateRecord } from "../kubernetes/admission_records.ts";
import { KubernetesApi } from "../kubernetes/api.ts";
import { currentEpoch, FIRST_EPOCH } from "../kubernetes/epochs.ts";
import { readOwnCutState } from "../kubernetes/first_authorization.ts";
import { installNodeCertificates } from "../kubernetes/kubelet_credentials.ts";
import { NodeAdmissions } from "../kubernetes/node_admissions.ts";
import { ownApiCredentials } from "../kubernetes/own_api.ts";
import { renewOwnCertificates } from "../kubernetes/own_node_certificates.ts";
import { nodeCertificateLifetimeMs, readClusterSettings } from "../kubernetes/settings.ts";
import { LockFile } from "../nodelock/file.ts";
import type { Clock } from "../platform/clock.ts";
import { endpointText, readEndpoint } from "../platform/endpoint.ts";
import type { EndpointSource } from "../platform/endpoint_source.ts";
import { isFollowed, sourceText } from "../platform/endpoint_source.ts";
import { asBootstrapError, BootstrapError } from "../platform/errors.ts";
import type { Log } from "../platform/log.ts";
import { errorFields } from "../platform/log.ts";
import { present } from "../platform/present.ts";
import { createNodeKeys } from "../protocol/node_keys.ts";
import type { NodeKeys } from "../protocol/node_keys.ts";
import type { NodeSelf } from "../protocol/node_self.ts";
import type { TrustPart } from "../protocol/transcript.ts";
import { readClusterDocument } from "../service/service_state.ts";
import { readClusterCa } from "./cluster_ca.ts";
import { JOIN_SERVICE_PORT } from "./join_service_install.ts";
import type { NodePaths } from "./paths.ts";
import type { RenewalDependencies, RenewalTask, RenewalWay } from "./renewal.ts";
import type { InstalledCertificates } from "./renewal.ts";

/** What a worker needs to be attested anew. */
export interface AttestingNode {
  readonly trust: TrustPart;
  /** The node's name and address; the name in its certificate wins. */
  readonly self: NodeSelf;
  /** The join services in the configuration, which are asked as well as those of the last ticket. */
  readonly endpoints: readonly EndpointSource[];
  readonly issuer: EvidenceIssuer;
  /** The machine's identity key, where its kind of evidence knows it by a key. */
  readonly identityKey?: NodeKeys["identity"];
  readonly kubeletVersion: string;
}

/** What both ways work with. */
export interface WayParts {
  readonly paths: NodePaths;
  readonly clock: Clock;
  readonly log: Log;
}

/**
 * A worker's way, and that of a control plane which attests itself to the others. A service is never asked at the
 * node's own address.
 *
 * @param load Reads the configuration and opens the machine, when it is known that a renewal is due.
 */
export function attestationWay({ paths, clock, log }: WayParts, load: () => Promise<AttestingNode>): RenewalWay {
  return async ({ role, installed, joinEndpoints, signal, onFailure }) => {
    const lock = await new LockFile(paths.state).readDurably();
    if (lock === undefined) throw new BootstrapError("precondition/no-cluster", "This node belongs to no cluster");
    const { trust, self, endpoints, issuer, identityKey, kubeletVersion } = await load();
    const asked = allEndpoints(joinEndpoints, endpoints).filter((source) =>
      isFollowed(source) || source.host !== self.address
    );
    if (asked.length === 0) throw noEndpoints();
    const keys: NodeKeys = {
      ...await createNodeKeys(),
      ...(identityKey === undefined ? {} : { identity: identityKey }),
    };
    const ticket = await obtainRenewal({
      trust,
      self: { ...self, name: nameOf(installed, self), role },
      kubeletVersion,
      issuer,
      keys,
      lockedTo: lock.clusterId,
      endpoints: asked,
      clock,
      log,
    }, {
      signal,
      onFailure: ({ error, kind, endpoint }) => onFailure(error, kind === "refused" ? endpoint : undefined),
    });
    const certificates = { client: ticket.clientCertificate, serving: ticket.servingCertificate };
    await installNodeCertificates(paths, certificates, { client: keys.node, serving: keys.serving });
    return { certificates, joinEndpoints: ticket.joinEndpoints };
  };
}

/** The name in the certificate wins: it is that of the admission. */
function nameOf({ client }: InstalledCertificates, { name }: NodeSelf): string {
  return (client && nodeNameOf(client.subject.attributes)) ?? name;
}

/** Joins the endpoints of the last ticket with those of the configuration, each once. */
function allEndpoints(recorded: readonly string[], configured: readonly EndpointSource[]): EndpointSource[] {
  const endpoints: EndpointSource[] = [
    ...recorded.map((text) => readEndpoint(text, "a join endpoint on record")),
    ...configured,
  ];
  return [...new Map(endpoints.map((endpoint) => [sourceText(endpoint), endpoint])).values()];
}

function noEndpoints(): BootstrapError {
  return new BootstrapError("precondition/join-endpoints", "This node knows no join service of its cluster", {
    next: "Name the cluster's join services in join.endpoints of the node's configuration",
  });
}

/**
 * Finds the join services of a control plane's cluster, but for its own: each control plane has one.
 *
 * @param load Reads the node's name and address.
 */
export function otherServicesOf(
  { kubernetes }: Pick<NodePaths, "kubernetes">,
  load: () => Promise<NodeSelf>,
): RenewalDependencies["otherServices"] {
  return async (signal) => {
    const self = await load();
    const all = await withApi(
      await ownApiCredentials(kubernetes, self),
      signal,
      (api) => new NodeAdmissions(api).list(),
    );
    return all.filter(({ record, removedMs }) => record.role === "control-plane" && removedMs === undefined)
      // A service listens at its node's first address.
      .flatMap(({ record }) => record.addresses.slice(0, 1))
      .filter((host) => host !== self.address)
      .map((host) => endpointText({ host, port: JOIN_SERVICE_PORT }));
  };
}

const API_DEADLINE_MS = 15_000;

/**
 * A control plane's way. What is in the certificates comes from the configuration, the cluster's settings and the
 * record, so that lost certificates are replaced too.
 *
 * @param load Reads the node's name and address.
 */
export function ownCaWay({ paths, clock, log }: WayParts, load: () => Promise<NodeSelf>): RenewalWay {
  return async (task) => {
    const self = await load();
    const nodeName = nameOf(task.installed, self);
    const settings = readClusterSettings(await readClusterDocument(paths.joinService));
    const ca = await readClusterCa(paths);
    const { record, ...admission } = await ownAdmission({ paths, self: { ...self, name: nodeName }, task, log });
    const certificates = await renewOwnCertificates(
      { ca, paths, now: clock.now(), ...present("record", record) },
      { ...admission, nodeName, addresses: addressesOf(self), lifetimeMs: nodeCertificateLifetimeMs(settings) },
    );
    return { certificates, joinEndpoints: task.joinEndpoints };
  };
}

interface OwnNode {
  readonly paths: NodePaths;
  readonly self: NodeSelf;
  readonly task: Pick<RenewalTask, "installed" | "urgency" | "signal">;
  readonly log: Log;
}

interface OwnAdmission extends AdmissionGroups {
  readonly record?: (certificates: readonly NodeCertificateRecord[]) => Promise<void>;
}

/**
 * Asks this machine's API server for the epoch and the record. While there is time, another try is better than
 * certificates without them; later, the kubelet needs certificates first, as it starts the API server.
 */
async function ownAdmission({ paths, self, task, log }: OwnNode): Promise<OwnAdmission> {
  const { installed, urgency, signal } = task;
  const before = installed.client && admissionOf(installed.client.subject.attributes, self.name);
  const uidBefore = before?.admissionUid;
  try {
    const credentials = await ownApiCredentials(paths.kubernetes, self);
    const [epoch, found] = await withApi(
      credentials,
      signal,
      async (api) => [await currentEpoch(api), await new AdmissionRecords(api).admittedAs(self.name)] as const,
    );
    if (found === undefined) return { epoch, ...present("admissionUid", uidBefore) };
    const { identity, uid } = found;
    const record = (certificates: readonly NodeCertificateRecord[]) =>
      withApi(credentials, signal, (api) => new AdmissionRecords(api).recordCertificates(identity, uid, certificates));
    return { epoch, admissionUid: uid, record };
  } catch (cause) {
    const error = asBootstrapError(cause);
    if (urgency !== "late" || signal.aborted) throw error;
    log.event("warn", "renewal-not-on-record", errorFields(error));
    return { epoch: await lastEpoch(paths) ?? before?.epoch ?? FIRST_EPOCH, ...present("admissionUid", uidBefore) };
  }
}

/** The current epoch when the cut list of this machine's API server was last written; it accepts the next one too. */
async function lastEpoch({ kubernetes }: NodePaths): Promise<number | undefined> {
  return (await readOwnCutState(kubernetes).catch(() => undefined))?.epochs.at(-2);
}

async function withApi<T>(
  credentials: Awaited<ReturnType<typeof ownApiCredentials>>,
  signal: AbortSignal,
  work: (api: KubernetesApi) => Promise<T>,
): Promise<T> {
  using api = new KubernetesApi(credentials, { signal, deadlineMs: API_DEADLINE_MS });
  return await work(api);
}
