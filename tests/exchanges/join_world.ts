/**
 * Shared by the tests of joins: a cluster that is only a CA and a join service, and nodes that ask it.
 *
 * @module
 */
import { TPM_ACCEPTED, TPM_SETTINGS } from "../../attestation/testing/trust.ts";
import { dial } from "../../channel/client.ts";
import type { DialledExchange } from "../../channel/client.ts";
import type { EvidenceIssuer, EvidenceVerifier } from "../../attestation/evidence.ts";
import { createFounding } from "../../protocol/founding.ts";
import { createInsecureIssuer } from "../../attestation/kinds/none/issuer.ts";
import { createInsecureVerifier } from "../../attestation/kinds/none/verifier.ts";
import type { TrustPart } from "../../protocol/transcript.ts";
import type { CertificateAuthority } from "../../certificate/ca.ts";
import type { UnsignedCertificate, UnsignedNodeCertificates } from "../../certificate/ca.ts";
import { createCertificateAuthority, issueServiceCertificate, prepareNodeCertificates } from "../../certificate/ca.ts";
import { clusterIdOf } from "../../certificate/cluster_id.ts";
import type { KeyPair } from "../../certificate/keys.ts";
import { generateKeyPair } from "../../certificate/keys.ts";
import type {
  Admission,
  AdmissionRecord,
  AskedClaims,
  NodeCertificateRecord,
} from "../../kubernetes/admission_records.ts";
import type { Bytes } from "../../platform/bytes.ts";
import { sha256 } from "../../platform/bytes.ts";
import { systemClock } from "../../platform/clock.ts";
import { MAXIMUM_CLOCK_SKEW_MS } from "../../platform/clock_skew.ts";
import { BootstrapError } from "../../platform/errors.ts";
import { createLog } from "../../platform/log.ts";
import { RefusalLog } from "../../platform/refusal_log.ts";
import { JoinServiceService } from "../../proto/gen/bootstrapper.ts";
import type { JoinClientMessage, JoinServerMessage } from "../../proto/gen/bootstrapper.ts";
import { clusterNetwork } from "../../service/claims_check.ts";
import type { JoiningNode } from "../../join/exchange_client.ts";
import { JOIN_CLIENT_DEADLINES, obtainTicket } from "../../join/exchange_client.ts";
import type { CertifiedNode, ControlPlaneAdmission, JoinExchangeService } from "../../service/exchange_parts.ts";
import { JOIN_SERVICE_DEADLINES } from "../../service/exchange_parts.ts";
import type { NodeKeys } from "../../protocol/node_keys.ts";
import { readOrCreateIdentityKey, readOrCreateNodeKeys } from "../../protocol/node_keys.ts";
import type { TestListener } from "../../service/testing/join_listener.ts";
import { listenForJoins } from "../../service/testing/join_listener.ts";
import type { Ticket } from "../../join/ticket.ts";
import { DocumentFetches } from "../../service/document_fetches.ts";
import { FairQueue } from "../../service/fair_queue.ts";
import { FOUNDER_EVIDENCE_QUEUE } from "../../service/founder_evidence.ts";

/** The cluster document of the tests' clusters. */
export const CLUSTER_DOCUMENT = "kubernetesVersion: v1.36.3\n";
/** The version of the tests' nodes and clusters. */
export const KUBELET_VERSION = "v1.36.3";
/** The name of the tests' clusters. */
export const CLUSTER_NAME = "test";

const CERTIFICATE_LIFETIME_MS = 7 * 24 * 3600_000;
/** Of the service's node. */
const SERVICE_NODE = "cp-1";

/** Admission records in memory. Identity, name and role never change. */
export class MemoryAdmissions {
  readonly records: AdmissionRecord[] = [];
  /** The certificates that were recorded, oldest first. */
  readonly certificates: NodeCertificateRecord[] = [];
  readonly #uids = new Map<string, string>();

  /** Returns the record of an identity. */
  find(identity: string): Promise<AdmissionRecord | undefined> {
    return Promise.resolve(this.records.find((record) => record.identity === identity));
  }

  /** Whether an admission still is. */
  stands(identity: string, uid: string): Promise<boolean> {
    return Promise.resolve(
      this.#uids.get(identity) === uid && this.records.some((record) => record.identity === identity),
    );
  }

  /** Admits a node, or refuses it as the real records do. */
  admit(record: AdmissionRecord): Promise<Admission> {
    const before = this.records.find(({ identity }) => identity === record.identity);
    const named = this.records.find(({ nodeName }) => nodeName === record.nodeName);
    if (named !== undefined && named.identity !== record.identity) {
      return Promise.reject(new BootstrapError("conflict/node-name", "The name belongs to another identity"));
    }
    if (before !== undefined && (before.nodeName !== record.nodeName || before.role !== record.role)) {
      return Promise.reject(new BootstrapError("conflict/identity", "The identity has another name or role"));
    }
    if (before !== undefined) this.records.splice(this.records.indexOf(before), 1);
    this.records.push(record);
    const uid = this.#uids.get(record.identity) ?? crypto.randomUUID();
    this.#uids.set(record.identity, uid);
    return Promise.resolve(before === undefined ? { uid } : { before, uid });
  }

  /** Replaces a standing admission, or refuses it as the real records do. */
  renew(record: AdmissionRecord): Promise<Admission> {
    const stands = this.records.some((one) => one.identity === record.identity && one.nodeName === record.nodeName);
    if (stands) return this.admit(record);
    const named = this.records.find(({ identity }) => identity === record.identity);
    const seen = named === undefined ? "none: it was removed, or never joined" : `${named.role} ${named.nodeName}`;
    return Promise.reject(new BootstrapError("refused/not-admitted", "It is not admitted", { details: { seen } }));
  }

  /** Records certificates of an admission. */
  recordCertificates(
    identity: string,
    uid: string,
    certificates: readonly NodeCertificateRecord[],
    asked?: AskedClaims,
  ): Promise<void> {
    const record = this.records.find((one) => one.identity === identity);
    const isOther = asked !== undefined &&
      (record?.nodeKey !== asked.nodeKey || `${record.addresses}` !== `${asked.addresses}`);
    if (this.#uids.get(identity) !== uid || isOther) {
      return Promise.reject(new BootstrapError("unavailable/admission-changed", "The admission is another one now"));
    }
    this.certificates.push(...certificates);
    return Promise.resolve();
  }
}

/** Tests that make control planes give their own. */
const NO_CONTROL_PLANES: ControlPlaneAdmission = {
  enter: () => Promise.reject(new Error("this test makes no control planes")),
  release: () => Promise.reject(new Error("this test makes no control planes")),
  seal: () => Promise.reject(new Error("this test makes no control planes")),
};

/** What can differ in a test's cluster. */
export interface TestClusterOptions {
  /** The operator that founds it. Default: a new one. */
  readonly operator?: KeyPair;
  readonly clusterName?: string;
  /** Default: a new one. */
  readonly ca?: CertificateAuthority<KeyPair>;
  /** Default: believes everything (`none`). */
  readonly verifier?: EvidenceVerifier;
  /** Parts of the service. */
  readonly service?: Partial<JoinExchangeService>;
  /** Default: a port that the kernel chooses. */
  readonly port?: number;
}

/** A cluster: its CA, its operator, and a join service on loopback. */
export class TestCluster implements AsyncDisposable {
  /** The names that client certificates were signed for. */
  readonly signed: string[] = [];
  /** The names that serving certificates were signed for. */
  readonly signedServing: string[] = [];
  readonly admissions = new MemoryAdmissions();
  /** The service's log. */
  readonly events: Record<string, unknown>[] = [];
  #server: TestListener | undefined;
  #service: JoinExchangeService | undefined;

  private constructor(
    readonly operator: KeyPair,
    readonly ca: CertificateAuthority<KeyPair>,
    readonly clusterId: Bytes,
    readonly clusterName: string,
  ) {}

  /** Founds a cluster and starts its join service. */
  static async create(options: TestClusterOptions = {}): Promise<TestCluster> {
    const operator = options.operator ?? await generateKeyPair("ed25519");
    const ca = options.ca ?? await createCertificateAuthority(new Date());
    const clusterName = options.clusterName ?? CLUSTER_NAME;
    const cluster = new TestCluster(operator, ca, await clusterIdOf(ca.certificate), clusterName);
    const keys = await generateKeyPair("p-256");
    cluster.#service = {
      identity: {
        clusterId: cluster.clusterId,
        caCertificate: ca.certificate.der,
        foundings: [await createFounding(operator, cluster.clusterId, clusterName)],
        certificate: (await issueServiceCertificate(ca, SERVICE_NODE, keys.spki, new Date())).der,
        keys,
      },
      trust: { ...cluster.trust, clusterId: cluster.clusterId },
      acceptedTrust: TPM_ACCEPTED,
      verifier: options.verifier ?? createInsecureVerifier(),
      isInsecure: true,
      roleOf: () => "worker",
      standingOf: () => "named",
      checkNodeName: () => {},
      maximumClockSkewMs: MAXIMUM_CLOCK_SKEW_MS,
      confirmPolicy: () => Promise.resolve(),
      policyDigest: Promise.resolve("0123456789ab"),
      network: clusterNetwork(["127.0.0.1:6443"], CLUSTER_DOCUMENT),
      admissions: cluster.admissions,
      prepareCertificates: (node) => cluster.#prepare(node),
      checkNotRemoved: () => Promise.resolve(),
      controlPlanes: NO_CONTROL_PLANES,
      clusterVersion: () => Promise.resolve(KUBELET_VERSION),
      currentEpoch: () => Promise.resolve(1),
      ticket: {
        apiEndpoints: ["127.0.0.1:6443"],
        joinEndpoints: ["127.0.0.1:9444"],
        clusterDocument: CLUSTER_DOCUMENT,
      },
      fetches: new DocumentFetches(systemClock),
      queue: new FairQueue({ maximumActive: 4, maximumWaiting: 16, full: "too many wait" }),
      proofs: new FairQueue(FOUNDER_EVIDENCE_QUEUE),
      // Each test looks at its own refusals.
      refusals: new RefusalLog(unlimited()),
      deadlines: JOIN_SERVICE_DEADLINES,
      clock: systemClock,
      log: createLog(systemClock, (line) => cluster.events.push(JSON.parse(line))),
      ...options.service,
    };
    cluster.#server = await listenForJoins(cluster.#service, { host: "127.0.0.1", port: options.port ?? 0 });
    return cluster;
  }

  /** The configuration of the cluster's nodes: its name and its operator, and no cluster ID. */
  get trust(): TrustPart {
    const { clusterName, operator } = this;
    return { clusterName, clusterId: new Uint8Array(0), operatorKeys: [operator.spki], ...TPM_SETTINGS };
  }

  /** The parts that the service's exchanges work with. */
  get service(): JoinExchangeService {
    if (this.#service === undefined) throw new Error("the cluster is not there yet");
    return this.#service;
  }

  /** The port of the join service on 127.0.0.1. */
  get port(): number {
    if (this.#server === undefined) throw new Error("the cluster is not there yet");
    return this.#server.port;
  }

  /** The signer's socket. */
  get socket(): string {
    if (this.#server === undefined) throw new Error("the cluster is not there yet");
    return this.#server.socket;
  }

  /** The codes of the service's refusals, in order. */
  get refusals(): unknown[] {
    return this.events.filter(({ event }) => event === "join-refused").map(({ code }) => code);
  }

  async #prepare(node: CertifiedNode): Promise<UnsignedNodeCertificates> {
    const request = { ...node, lifetimeMs: CERTIFICATE_LIFETIME_MS };
    const { client, serving } = await prepareNodeCertificates(this.ca, request, new Date());
    const noted = (names: string[], unsigned: UnsignedCertificate): UnsignedCertificate => ({
      ...unsigned,
      sign: () => {
        names.push(node.nodeName);
        return unsigned.sign();
      },
    });
    return { client: noted(this.signed, client), serving: noted(this.signedServing, serving) };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server?.close();
  }
}

/** A clock in which hours pass between two looks: nothing is left out of the log. */
function unlimited(): () => number {
  let nowMs = 0;
  return () => nowMs += 3_600_000;
}

/** The keys of a node, which are kept in no folder. Its evidence may be of a kind whose identity is a key. */
export async function newNodeKeys(): Promise<Required<NodeKeys>> {
  const folder = await Deno.makeTempDir();
  try {
    return { ...await readOrCreateNodeKeys(folder), identity: await readOrCreateIdentityKey(folder) };
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** The issuer of variant `none` of the machine with an identity key. Default: a new one. */
export async function newInsecureIssuer(identity?: KeyPair): Promise<EvidenceIssuer> {
  return createInsecureIssuer(await sha256((identity ?? await generateKeyPair("p-256")).spki));
}

/** A node that is configured for a cluster. */
export async function newNode(trust: TrustPart, changes: Partial<JoiningNode> = {}): Promise<JoiningNode> {
  const keys = await newNodeKeys();
  return {
    purpose: "join",
    trust,
    self: { name: "worker-1", address: "192.0.2.7", role: "worker" },
    kubeletVersion: KUBELET_VERSION,
    keys,
    issuer: await newInsecureIssuer(changes.keys?.identity ?? keys.identity),
    deadlines: JOIN_CLIENT_DEADLINES,
    clock: systemClock,
    noteFounded: () => {},
    exclusively: (work) => work(),
    ...changes,
  };
}

/** Dials a join service on loopback. */
export function dialService(port: number): Promise<DialledExchange<JoinServerMessage, JoinClientMessage>> {
  return dial<JoinServerMessage, JoinClientMessage>({
    method: JoinServiceService.join,
    endpoint: `127.0.0.1:${port}`,
    connectDeadlineMs: 5_000,
  });
}

/** Makes a node ask for its ticket at a port on loopback. */
export async function ask(port: number, node: JoiningNode): Promise<Ticket> {
  using dialled = await dialService(port);
  return await obtainTicket(dialled.exchange, node);
}
