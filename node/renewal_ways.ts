/**
 * The two ways to new certificates, with the real effects.
 *
 * @module
 */
import { join } from "node:path";
import type { EvidenceIssuer } from "../attestation/evidence.ts";
import { joinCertificateAuthority } from "../certificate/ca.ts";
import type { CertificateAuthority } from "../certificate/ca.ts";
import { subjectAltName } from "../certificate/extensions.ts";
import { readSigningKeyPem } from "../certificate/keys.ts";
import { readPem } from "../certificate/pem.ts";
import { admissionGroupsOf, nodeNameOf } from "../certificate/subjects.ts";
import type { Certificate } from "../certificate/x509.ts";
import { readCertificate } from "../certificate/x509.ts";
import { obtainRenewal } from "../join/renewal.ts";
import { AdmissionRecords } from "../kubernetes/admission_records.ts";
import type { NodeCertificateRecord } from "../kubernetes/admission_records.ts";
import { KubernetesApi } from "../kubernetes/api.ts";
import { currentEpoch } from "../kubernetes/epochs.ts";
import { installNodeCertificates } from "../kubernetes/kubelet_credentials.ts";
import { ownApiCredentials } from "../kubernetes/own_api.ts";
import { renewOwnCertificates } from "../kubernetes/own_node_certificates.ts";
import { LockFile } from "../nodelock/file.ts";
import { fromUtf8 } from "../platform/bytes.ts";
import type { Clock } from "../platform/clock.ts";
import type { Endpoint } from "../platform/endpoint.ts";
import { endpointText, readEndpoint } from "../platform/endpoint.ts";
import { asBootstrapError, BootstrapError } from "../platform/errors.ts";
import { readFile } from "../platform/files.ts";
import { addressText } from "../platform/ip_address.ts";
import type { Log } from "../platform/log.ts";
import { errorFields } from "../platform/log.ts";
import { createNodeKeys } from "../protocol/node_keys.ts";
import type { NodeKeys } from "../protocol/node_keys.ts";
import type { NodeSelf } from "../protocol/node_self.ts";
import type { TrustPart } from "../protocol/transcript.ts";
import type { NodePaths } from "./paths.ts";
import type { RenewalTask, RenewalWay } from "./renewal.ts";
import type { InstalledCertificates } from "./renewal.ts";

/** What a worker needs to be attested anew. */
export interface AttestingNode {
  readonly trust: TrustPart;
  /** The node's name and address; the name in its certificate wins. */
  readonly self: NodeSelf;
  /** The join services in the configuration, which are asked as well as those of the last ticket. */
  readonly endpoints: readonly Endpoint[];
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
 * A worker's way.
 *
 * @param load Reads the configuration and opens the machine, when it is known that a renewal is due.
 */
export function attestationWay({ paths, clock, log }: WayParts, load: () => Promise<AttestingNode>): RenewalWay {
  return async ({ installed, joinEndpoints, signal, onFailure }) => {
    const lock = await new LockFile(paths.state).readDurably();
    if (lock === undefined) throw new BootstrapError("precondition/no-cluster", "This node belongs to no cluster");
    const { trust, self, endpoints, issuer, identityKey, kubeletVersion } = await load();
    const asked = allEndpoints(joinEndpoints, endpoints);
    if (asked.length === 0) throw noEndpoints();
    const keys: NodeKeys = {
      ...await createNodeKeys(),
      ...(identityKey === undefined ? {} : { identity: identityKey }),
    };
    const name = installed.client === undefined ? self.name : nodeNameOf(installed.client.subject.attributes);
    const ticket = await obtainRenewal({
      trust,
      self: { name: name ?? self.name, address: self.address, role: "worker" },
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

/** Joins the endpoints of the last ticket with those of the configuration, each once. */
function allEndpoints(recorded: readonly string[], configured: readonly Endpoint[]): Endpoint[] {
  const endpoints = [...recorded.map((text) => readEndpoint(text, "a join endpoint on record")), ...configured];
  return [...new Map(endpoints.map((endpoint) => [endpointText(endpoint), endpoint])).values()];
}

function noEndpoints(): BootstrapError {
  return new BootstrapError("precondition/join-endpoints", "This node knows no join service of its cluster", {
    next: "Name the cluster's join services in join.endpoints of the node's configuration",
  });
}

/** The backdating of certificates, which belongs to no lifetime (`certificate/ca.ts`). */
const BACKDATED_MS = 5 * 60_000;
const MAXIMUM_PEM_BYTES = 1 << 16;
const API_DEADLINE_MS = 15_000;

/** A control plane's way. Name, addresses, admission and lifetime are those of the certificates before. */
export function ownCaWay({ paths, clock, log }: WayParts): RenewalWay {
  return async (task) => {
    const { client, serving } = bothOf(task.installed);
    const ca = await readClusterCa(paths);
    const addresses = (subjectAltName(serving) ?? []).flatMap((name) =>
      name.type === "ip" ? [addressText(name.value)] : []
    );
    const nodeName = nodeNameOf(client.subject.attributes) ?? "";
    const before = admissionGroupsOf(client.subject.attributes, nodeName);
    if (before === undefined) throw noGroups();
    const lifetimeMs = client.notAfter.getTime() - client.notBefore.getTime() - BACKDATED_MS;
    const { epoch, record } = await admissionOnRecord(paths, { nodeName, addresses, task, log, ...before });
    const certificates = await renewOwnCertificates(
      { ca, paths, now: clock.now(), ...(record === undefined ? {} : { record }) },
      { ...before, nodeName, addresses, lifetimeMs, epoch },
    );
    return { certificates, joinEndpoints: task.joinEndpoints };
  };
}

function bothOf({ client, serving }: InstalledCertificates): Required<InstalledCertificates> {
  if (client !== undefined && serving !== undefined) return { client, serving };
  throw new BootstrapError("precondition/kubelet-credentials", "This node's kubelet has lost its certificates");
}

function noGroups(): BootstrapError {
  return new BootstrapError(
    "precondition/kubelet-credentials",
    "This control plane's kubelet has a certificate that this program did not issue",
  );
}

/** Reads the cluster's CA with its key, which a control plane has on its disk. */
export async function readClusterCa({ kubernetes }: NodePaths): Promise<CertificateAuthority> {
  const read = async (name: string) => {
    const path = join(kubernetes, "pki", name);
    return fromUtf8(await readFile(path, MAXIMUM_PEM_BYTES), path);
  };
  const certificate: Certificate = readCertificate(readPem(await read("ca.crt"), "CERTIFICATE", "ca.crt"), "ca.crt");
  return joinCertificateAuthority(certificate, await readSigningKeyPem(await read("ca.key"), "ca.key"));
}

interface OwnAdmission {
  readonly nodeName: string;
  readonly addresses: readonly string[];
  readonly admissionUid?: string;
  readonly epoch: number;
  readonly task: Pick<RenewalTask, "urgency" | "signal">;
  readonly log: Log;
}

/**
 * Asks this machine's API server for the epoch, and finds the record. Without them the certificates are those of the
 * epoch before: while there is time, another try is better than that; later, the kubelet needs certificates first.
 */
async function admissionOnRecord(
  paths: NodePaths,
  { nodeName, addresses, admissionUid, task, log, ...before }: OwnAdmission,
): Promise<
  {
    readonly epoch: number;
    readonly record?: (certificates: readonly NodeCertificateRecord[]) => Promise<void>;
  }
> {
  try {
    const credentials = await ownApiCredentials(paths.kubernetes, { address: addresses[0] ?? "" });
    const epoch = await withApi(credentials, task.signal, currentEpoch);
    if (admissionUid === undefined) return { epoch };
    const record = (certificates: readonly NodeCertificateRecord[]) =>
      withApi(credentials, task.signal, async (api) => {
        const records = new AdmissionRecords(api);
        const found = await records.byName(nodeName);
        if (found !== undefined) await records.recordCertificates(found.identity, admissionUid, certificates);
      });
    return { epoch, record };
  } catch (cause) {
    const error = asBootstrapError(cause);
    if (task.urgency !== "late" || task.signal.aborted) throw error;
    log.event("warn", "renewal-not-on-record", errorFields(error));
    return { epoch: before.epoch };
  }
}

async function withApi<T>(
  credentials: Awaited<ReturnType<typeof ownApiCredentials>>,
  signal: AbortSignal,
  work: (api: KubernetesApi) => Promise<T>,
): Promise<T> {
  using api = new KubernetesApi(credentials, { signal, deadlineMs: API_DEADLINE_MS });
  return await work(api);
}
