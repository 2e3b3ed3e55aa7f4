/**
 * The join service of a control plane.
 *
 * @module
 */
import * as v from "valibot";
import { listen } from "../channel/server.ts";
import type { ChannelServer } from "../channel/server.ts";
import { proveChannelBinding } from "../channel/finished.ts";
import type { EvidenceVerifier } from "../attestation/evidence.ts";
import type { EvidenceKind } from "../attestation/kind.ts";
import { checkNodeName, isInsecure, type Policy, roleOf } from "../attestation/policy/policy.ts";
import { privateKeyPem } from "../certificate/keys.ts";
import { readPem, writePem } from "../certificate/pem.ts";
import { AdmissionRecords } from "../kubernetes/admission_records.ts";
import { KubernetesApi } from "../kubernetes/api.ts";
import { currentEpoch } from "../kubernetes/epochs.ts";
import type { ApiCredentials } from "../kubernetes/api.ts";
import { signNodeCertificate } from "../kubernetes/node_certificate.ts";
import { findPolicyDocument } from "../kubernetes/policy_config_map.ts";
import { checkNotBeingRemoved } from "../kubernetes/removal_requests.ts";
import type { Endpoint } from "../platform/endpoint.ts";
import { readListenAddress } from "../platform/endpoint.ts";
import type { Bytes } from "../platform/bytes.ts";
import { base64 } from "../platform/bytes.ts";
import type { Clock } from "../platform/clock.ts";
import type { Log } from "../platform/log.ts";
import { present } from "../platform/present.ts";
import { JoinServiceService } from "../proto/gen/bootstrapper.ts";
import type { JoinClientMessage, JoinServerMessage } from "../proto/gen/bootstrapper.ts";
import type { JoinExchangeService } from "./exchange_parts.ts";
import { ControlPlanes } from "./control_planes.ts";
import { clusterNetwork } from "./claims_check.ts";
import { JOIN_SERVICE_DEADLINES } from "./exchange_parts.ts";
import { serveJoin } from "./exchange_service.ts";
import { PolicyInForce } from "./policy_in_force.ts";
import { remembered } from "./_remembered.ts";
import type { ServiceState } from "./service_state.ts";
import { runServingApprover } from "./serving_approver.ts";
import { VerificationQueue } from "./verification_queue.ts";

/** What the join service works with. */
export interface JoinServiceDependencies {
  /** The service's state, from `readServiceState()`. */
  readonly state: ServiceState;
  /** Makes the verifier of nodes' evidence for a policy: the state's, and later ones. */
  readonly createVerifier: (policy: Policy) => EvidenceVerifier;
  /** All kinds of evidence. */
  readonly kinds?: readonly EvidenceKind[];
  /** Reads the policy document of the state again, as its file is now. */
  readonly readPolicyDocument: () => Promise<string>;
  /**
   * The folder of the unit's credentials, with the cluster's keys. Without it, no control plane can join through this
   * service.
   */
  readonly credentialsFolder?: string;
  readonly clock: Clock;
  /** Records each outcome. */
  readonly log: Log;
}

/** A node's first certificate lives as long as a slow join needs. kubeadm waits up to ten minutes for the kubelet. */
const TICKET_LIFETIME_SECONDS = 20 * 60;
/** A controller manager that has just lost its leadership takes a minute to regain it on a slow machine. */
const SIGNING_DEADLINE_MS = 90_000;
/**
 * A thousand machines that boot at once all find a place. A waiting connection costs some ten kilobytes, and a file.
 * The unit's LimitNOFILE= leaves room for more files than these, because the process does not survive a lack of them.
 */
export const MAXIMUM_CONNECTIONS = 2048;
/** A request holds a CSR, a quote and an EK certificate: some kilobytes together. */
const MAXIMUM_MESSAGE_LENGTH = 32 * 1024;
/**
 * A verification is some signatures over a few kilobytes: milliseconds on one core. A thousand waiting verifications
 * are some seconds of work.
 */
const QUEUE = { maximumActive: 4, maximumWaiting: 1024 } as const;

/** An API server that is replaced by one of another version takes longer than this to start. */
const VERSION_AGE_MS = 5_000;

/** The parts that do not change while the service runs. */
type WithoutPolicy = Omit<
  JoinExchangeService,
  "verifier" | "roleOf" | "checkNodeName" | "maximumClockSkewMs" | "confirmPolicy"
>;

const versionSchema = v.object({ gitVersion: v.string() });

/**
 * Serves until the signal. Then it stops listening, ends the exchanges under way, and returns. A node that was cut off
 * asks again.
 *
 * @throws {BootstrapError} `system/listen`, `internal/channel-binding`, `usage/kubernetes-credentials`,
 *   `usage/document` for the state's policy.
 */
export async function runJoinService(dependencies: JoinServiceDependencies, signal: AbortSignal): Promise<void> {
  await proveChannelBinding();
  const { state, clock, log, credentialsFolder, createVerifier, readPolicyDocument, kinds } = dependencies;
  using api = new KubernetesApi(await apiCredentials(state));
  const admissions = new AdmissionRecords(api);
  const policies = new PolicyInForce({
    document: state.policyDocument,
    createVerifier,
    clock,
    log,
    readFile: readPolicyDocument,
    ...present("kinds", kinds),
    findConfigMap: () => findPolicyDocument(api),
  });
  using controlPlanes = credentialsFolder === undefined ? undefined : new ControlPlanes({
    api,
    admissions,
    credentialsFolder,
    clock,
    log,
    policyDocument: () => policies.current().document,
  });
  const service: WithoutPolicy = {
    ...exchangeService(dependencies, isInsecure(policies.current().policy)),
    admissions,
    signCertificate: (nodeName, csr) => signCertificate(api, nodeName, csr, clock),
    checkNotRemoved: (nodeName) => checkNotBeingRemoved(api, nodeName),
    ...present("controlPlanes", controlPlanes),
    currentEpoch: () => currentEpoch(api),
    clusterVersion: remembered(
      async () => (await api.get("/version", versionSchema)).gitVersion,
      VERSION_AGE_MS,
      clock,
    ),
  };
  await using server = await listenForExchanges(
    () => ({ ...service, ...policyParts(policies) }),
    service.log,
    readListenAddress(state.listen, "listen"),
  );
  service.log.event("info", "join-service-started", { listen: state.listen, port: server.port });
  const failed = new AbortController();
  const end = AbortSignal.any([signal, failed.signal]);
  try {
    await Promise.all([
      server.watch(clock, end),
      runServingApprover({ api, admissions, network: service.network, clock, log }, end),
      controlPlanes?.run(end),
      policies.run(end),
    ]);
  } finally {
    failed.abort();
  }
  service.log.event("info", "join-service-stopped");
}

/**
 * Listens for nodes.
 *
 * @param service The parts that each exchange works with.
 * @param address Where to listen; port 0 lets the kernel choose one.
 */
export function listenForJoins(service: JoinExchangeService, address: Endpoint): Promise<ChannelServer> {
  return listenForExchanges(() => service, service.log, address);
}

/** Listens for nodes; each exchange keeps the parts that it started with. */
function listenForExchanges(service: () => JoinExchangeService, log: Log, address: Endpoint): Promise<ChannelServer> {
  return listen<JoinClientMessage, JoinServerMessage>({
    service: JoinServiceService,
    ...address,
    maximumConnections: MAXIMUM_CONNECTIONS,
    maximumMessageLength: MAXIMUM_MESSAGE_LENGTH,
    handle: (session) => serveJoin(session, service()),
    log,
  });
}

/** The parts of an exchange that come from the policy in force when it begins. */
function policyParts(policies: PolicyInForce): Omit<JoinExchangeService, keyof WithoutPolicy> {
  const version = policies.current();
  const { policy, verifier } = version;
  return {
    verifier,
    maximumClockSkewMs: policy.maximumClockSkewMs,
    roleOf: (identity) => roleOf(policy, identity),
    checkNodeName: (identity, nodeName) => checkNodeName(policy, identity, nodeName),
    confirmPolicy: () => policies.confirm(version),
  };
}

/** The parts of an exchange that come from the state. */
function exchangeService(
  { state, clock, log }: JoinServiceDependencies,
  believesAll: boolean,
): Omit<WithoutPolicy, "admissions" | "signCertificate" | "checkNotRemoved" | "currentEpoch" | "clusterVersion"> {
  const { trust, caCertificate, foundings, certificate, keys, apiEndpoints, joinEndpoints, clusterDocument } = state;
  return {
    identity: { clusterId: trust.clusterId, caCertificate, foundings, certificate, keys },
    trust,
    clock,
    log: believesAll ? log.with({ insecure: "evidence is not verified: variant none" }) : log,
    ticket: { apiEndpoints, joinEndpoints, clusterDocument },
    network: clusterNetwork(apiEndpoints, clusterDocument),
    queue: new VerificationQueue(QUEUE),
    deadlines: JOIN_SERVICE_DEADLINES,
  };
}

async function apiCredentials(state: ServiceState): Promise<ApiCredentials> {
  const { apiServer, caCertificate, certificate, keys } = state;
  return {
    server: apiServer,
    caPem: writePem("CERTIFICATE", caCertificate),
    certificatePem: writePem("CERTIFICATE", certificate),
    keyPem: await privateKeyPem(keys),
  };
}

async function signCertificate(api: KubernetesApi, nodeName: string, csr: Uint8Array, clock: Clock): Promise<Bytes> {
  const pem = await signNodeCertificate(
    api,
    { nodeName, csrPem: requestPem(csr), expirationSeconds: TICKET_LIFETIME_SECONDS },
    { clock, deadlineMs: SIGNING_DEADLINE_MS },
  );
  return readPem(pem, "CERTIFICATE", "node certificate");
}

/** RFC 7468, 7. */
function requestPem(csr: Uint8Array): string {
  const lines = base64(csr).match(/.{1,64}/g) ?? [];
  return `-----BEGIN CERTIFICATE REQUEST-----\n${lines.join("\n")}\n-----END CERTIFICATE REQUEST-----\n`;
}
