/**
 * The signer: the process of a join service that runs the exchanges.
 *
 * It holds the keys, and listens only on a socket that its front reaches (`service/front.ts`).
 *
 * @module
 */
import * as v from "valibot";
import { MAXIMUM_COLLATERAL_BYTES } from "../attestation/collateral.ts";
import { Errands } from "../channel/errands.ts";
import type { RelayBounds, RelayServer } from "../channel/relay_server.ts";
import { serveRelayed } from "../channel/relay_server.ts";
import type { EvidenceVerifier } from "../attestation/evidence.ts";
import type { EvidenceKind } from "../attestation/kind.ts";
import { acceptedTrust } from "../attestation/policy/accepted_trust.ts";
import { checkNodeName, isInsecure, type Policy, roleOf, standingOf } from "../attestation/policy/policy.ts";
import { prepareNodeCertificates } from "../certificate/ca.ts";
import { privateKeyPem } from "../certificate/keys.ts";
import { writePem } from "../certificate/pem.ts";
import { AdmissionRecords } from "../kubernetes/admission_records.ts";
import { KubernetesApi } from "../kubernetes/api.ts";
import { currentEpoch } from "../kubernetes/epochs.ts";
import { ForbiddenPatience } from "../kubernetes/forbidden_patience.ts";
import type { ApiCredentials } from "../kubernetes/api.ts";
import { nodeCertificateLifetimeMs, readClusterSettings } from "../kubernetes/settings.ts";
import { findPolicyDocument } from "../kubernetes/policy_config_map.ts";
import { checkNotBeingRemoved } from "../kubernetes/removal_requests.ts";
import { abortable } from "../platform/abortable.ts";
import type { Clock } from "../platform/clock.ts";
import { readEndpoint } from "../platform/endpoint.ts";
import { asBootstrapError } from "../platform/errors.ts";
import type { FetchDocument } from "../platform/fetch_document.ts";
import type { Log } from "../platform/log.ts";
import { present } from "../platform/present.ts";
import { RefusalLog } from "../platform/refusal_log.ts";
import { JoinServiceService } from "../proto/gen/bootstrapper.ts";
import type { JoinClientMessage, JoinServerMessage } from "../proto/gen/bootstrapper.ts";
import type { FounderProver, JoinExchangeService } from "./exchange_parts.ts";
import { ControlPlanes, ownEtcd } from "./control_planes.ts";
import { CutListKeeper } from "./cut_list.ts";
import { clusterNetwork } from "./claims_check.ts";
import { DocumentFetches } from "./document_fetches.ts";
import { JOIN_SERVICE_DEADLINES } from "./exchange_parts.ts";
import { serveJoin } from "./exchange_service.ts";
import { FOUNDER_EVIDENCE_QUEUE } from "./founder_evidence.ts";
import { JOIN_SERVICE_NUMBER, MAXIMUM_CONNECTIONS, MAXIMUM_MESSAGE_LENGTH } from "./front.ts";
import { firstTicketRecorder } from "./first_ticket.ts";
import { KeptPolicy } from "./kept_policy.ts";
import { OwnRights } from "./own_rights.ts";
import { PolicyInForce } from "./policy_in_force.ts";
import { policyLog } from "./policy_log.ts";
import { remembered } from "./_remembered.ts";
import { ServiceAdmissions } from "./service_admissions.ts";
import type { ServiceState } from "./service_state.ts";
import { openSigningCa } from "./signing_ca.ts";
import { FairQueue } from "./fair_queue.ts";

/** What the join service works with. */
export interface JoinServiceDependencies {
  /** The socket for the front, from `openRelaySocket()`. */
  readonly listener: Deno.Listener;
  /** The service's state, from `readServiceState()`. */
  readonly state: ServiceState;
  /**
   * Makes the verifier of nodes' evidence for a policy: the state's, and later ones. Documents are fetched by the given
   * function, which asks the front.
   */
  readonly createVerifier: (policy: Policy, fetch: FetchDocument) => EvidenceVerifier;
  /** All kinds of evidence. */
  readonly kinds?: readonly EvidenceKind[];
  /** The folder where the service keeps what it must not forget: the newest policy that it saw. */
  readonly keptFolder: string;
  /** Reads the policy document of the state again, as its file is now. */
  readonly readPolicyDocument: () => Promise<string>;
  /** The folder of the unit's credentials, with the cluster's keys. */
  readonly credentialsFolder: string;
  /** The lifetime of nodes' certificates. Default: the cluster's setting. */
  readonly nodeCertificateLifetimeMs?: number;
  /** The folder of the API server's AuthorizationConfiguration, on this machine. */
  readonly authorizationFolder: string;
  /** Makes evidence of this machine, where the trust part has a policy for founders. */
  readonly prover?: FounderProver;
  /** The front's socket for connections to other members of etcd: the signer calls nothing but its own machine. */
  readonly dialer: string;
  readonly clock: Clock;
  /** Records each outcome. */
  readonly log: Log;
}

/** The fields of a document's frame, and small frames between two others. */
const HEADROOM_BYTES = 1 << 16;
/** A hello has a nonce and one bit, an activation an HMAC, and an outcome one bit. */
const SMALL_MESSAGE_BYTES = 256;
/** A challenge has two structures of a TPM of at most 258 bytes each. */
const MAXIMUM_CHALLENGE_BYTES = 1024;
/**
 * The signer's own bounds, which hold whatever the front does. An exchange has a few waits for its peer (30 s each at
 * most), some calls of the API, and perhaps documents that are fetched. The wait for a control plane's outcome is apart.
 */
const BOUNDS: RelayBounds = {
  maximumExchanges: MAXIMUM_CONNECTIONS,
  maximumMessageLength: MAXIMUM_MESSAGE_LENGTH,
  // The largest message of each exchange, and the largest document.
  maximumBytes: MAXIMUM_CONNECTIONS * MAXIMUM_MESSAGE_LENGTH + MAXIMUM_COLLATERAL_BYTES + HEADROOM_BYTES,
  exchangeDeadlineMs: 5 * 60_000,
};
/**
 * A verification is some signatures over a few kilobytes: milliseconds on one core. A thousand waiting verifications
 * are some seconds of work.
 */
const QUEUE = {
  ...{ maximumActive: 4, maximumWaiting: 1024 },
  full: "The join service already has as many nodes to verify as it can take",
};

/** An API server that is replaced by one of another version takes longer than this to start. */
const VERSION_AGE_MS = 5_000;
/** Certificates of the epoch before are accepted for longer than this. */
const EPOCH_AGE_MS = 1_000;

/** An identity and a name that nothing has, to try the service's rights with. */
const NO_MACHINE = "0".repeat(64);
const NO_NODE = "bootstrapper-probe";

/** The parts that do not change while the service runs. */
type WithoutPolicy = Omit<
  JoinExchangeService,
  | "verifier"
  | "acceptedTrust"
  | "isInsecure"
  | "roleOf"
  | "standingOf"
  | "checkNodeName"
  | "maximumClockSkewMs"
  | "confirmPolicy"
  | "policyDigest"
>;

const versionSchema = v.object({ gitVersion: v.string() });

/**
 * Serves until the signal. Then it stops listening, ends the exchanges under way, and returns. A node that was cut off
 * asks again.
 *
 * @throws {BootstrapError} `system/listen`, `usage/kubernetes-credentials`, `precondition/ca-key` and the other errors of
 *   `openSigningCa()`, `usage/document` for the state's policy.
 */
export async function runJoinService(dependencies: JoinServiceDependencies, signal: AbortSignal): Promise<void> {
  const { listener, state, clock, credentialsFolder, createVerifier, readPolicyDocument, kinds } = dependencies;
  const ca = await openSigningCa(state.caCertificate, credentialsFolder);
  const errands = new Errands(MAXIMUM_COLLATERAL_BYTES, clock);
  const { authorizationFolder, dialer } = dependencies;
  using api = new KubernetesApi(await apiCredentials(state), { patience: new ForbiddenPatience(clock) });
  const admissions = new AdmissionRecords(api, clock);
  const keptPolicy = new KeptPolicy(dependencies.keptFolder, state.trust.clusterId);
  const recordTicket = firstTicketRecorder(dependencies.keptFolder, clock.now);
  const policies = new PolicyInForce({
    document: state.policyDocument,
    kept: await keptPolicy.read().catch(asBootstrapError),
    keep: (document) => keptPolicy.keep(document),
    createVerifier: (policy) => createVerifier(policy, errands.fetch),
    clock,
    log: dependencies.log,
    readFile: readPolicyDocument,
    ...present("kinds", kinds),
    findConfigMap: () => findPolicyDocument(api),
  });
  const log = policyLog(dependencies.log, () => policies.current().policy);
  const lifetimeMs = dependencies.nodeCertificateLifetimeMs ??
    nodeCertificateLifetimeMs(readClusterSettings(state.clusterDocument));
  using controlPlanes = new ControlPlanes({
    api,
    admissions,
    credentialsFolder,
    clock,
    log,
    policyDocument: () => policies.current().document,
    etcd: ownEtcd(readEndpoint(state.listen, "listen").host),
    dialer,
  });
  const serviceAdmissions = new ServiceAdmissions({ api, records: admissions, clock, log });
  const cutList = new CutListKeeper({
    ...{ api, folder: authorizationFolder, certificateLifetimeMs: lifetimeMs, clock, log },
    banned: () => policies.current().policy.bannedIdentities,
  });
  const service: WithoutPolicy = {
    ...exchangeService({ state, clock, log, ...present("prover", dependencies.prover) }),
    admissions: serviceAdmissions,
    prepareCertificates: async (node) => {
      await recordTicket();
      return await prepareNodeCertificates(ca, { ...node, lifetimeMs }, clock.now());
    },
    checkNotRemoved: (nodeName) => checkNotBeingRemoved(api, nodeName),
    controlPlanes,
    currentEpoch: remembered(() => currentEpoch(api), EPOCH_AGE_MS, clock),
    clusterVersion: remembered(
      async () => (await api.get("/version", versionSchema)).gitVersion,
      VERSION_AGE_MS,
      clock,
    ),
  };
  const rights = new OwnRights({
    ...{ clock, log },
    probe: async () => {
      await service.clusterVersion();
      await service.currentEpoch();
      await admissions.find(NO_MACHINE);
      await checkNotBeingRemoved(api, NO_NODE);
      await findPolicyDocument(api);
    },
  });
  await using server = serveExchanges({ listener, errands, clock, log: service.log }, () => {
    rights.check();
    return { ...service, ...policyParts(policies) };
  });
  service.log.event("info", "join-signer-started");
  const failed = new AbortController();
  const end = AbortSignal.any([signal, failed.signal]);
  try {
    await Promise.all([
      abortable(server.ended, end).catch((error) => {
        if (!end.aborted) throw error;
      }),
      rights.run(end),
      controlPlanes.run(end),
      policies.run(end),
      cutList.run(end),
      serviceAdmissions.run(end),
    ]);
  } finally {
    failed.abort();
  }
  service.log.event("info", "join-signer-stopped");
}

/** Where a signer gets its exchanges from. */
export interface SignerSocket {
  /** From `openRelaySocket()`. */
  readonly listener: Deno.Listener;
  /** Fetches documents through the front. */
  readonly errands?: Errands;
  readonly clock: Pick<Clock, "sleep">;
  readonly log: Log;
}

/** Serves nodes behind a front; each exchange keeps the parts that it started with. */
export function serveExchanges(socket: SignerSocket, service: () => JoinExchangeService): RelayServer {
  return serveRelayed<JoinClientMessage, JoinServerMessage>({
    ...socket,
    ...BOUNDS,
    method: JoinServiceService.join,
    serviceNumber: JOIN_SERVICE_NUMBER,
    apart: ["outcome"],
    maximumLengths: {
      ...{ hello: SMALL_MESSAGE_BYTES, activation: SMALL_MESSAGE_BYTES, outcome: SMALL_MESSAGE_BYTES },
      challenge: MAXIMUM_CHALLENGE_BYTES,
    },
    logsOwnRefusals: true,
    handle: (session) => serveJoin(session, service()),
  });
}

/** The parts of an exchange that come from the policy in force when it begins. */
function policyParts(policies: PolicyInForce): Omit<JoinExchangeService, keyof WithoutPolicy> {
  const version = policies.current();
  const { policy, verifier } = version;
  return {
    verifier,
    acceptedTrust: acceptedTrust(policy, "node"),
    isInsecure: isInsecure(policy),
    policyDigest: version.digest,
    maximumClockSkewMs: policy.maximumClockSkewMs,
    roleOf: (identity) => roleOf(policy, identity),
    standingOf: (identity) => standingOf(policy, identity),
    checkNodeName: (identity, nodeName) => checkNodeName(policy, identity, nodeName),
    confirmPolicy: () => policies.confirm(version),
  };
}

/** The parts of an exchange that come from the state. */
function exchangeService(
  { state, prover, clock, log }: Pick<JoinServiceDependencies, "state" | "prover" | "clock" | "log">,
): Omit<
  WithoutPolicy,
  "admissions" | "prepareCertificates" | "checkNotRemoved" | "controlPlanes" | "currentEpoch" | "clusterVersion"
> {
  const { trust, caCertificate, foundings, tokenFounding, certificate, keys } = state;
  const { apiEndpoints, joinEndpoints, clusterDocument } = state;
  return {
    identity: {
      ...{ clusterId: trust.clusterId, caCertificate, foundings, certificate, keys },
      ...present("tokenFounding", tokenFounding),
    },
    trust,
    clock,
    log,
    ticket: { apiEndpoints, joinEndpoints, clusterDocument },
    network: clusterNetwork(apiEndpoints, clusterDocument),
    fetches: new DocumentFetches(clock),
    queue: new FairQueue(QUEUE),
    ...present("prover", prover),
    proofs: new FairQueue(FOUNDER_EVIDENCE_QUEUE),
    refusals: new RefusalLog(() => clock.monotonicMs()),
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
