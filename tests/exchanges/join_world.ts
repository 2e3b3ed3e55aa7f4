/**
 * Shared by the tests of joins: a cluster that is only a CA and a join service, and nodes that ask it.
 *
 * @module
 */
import type { ChannelServer } from "../../channel/server.ts";
import { dial } from "../../channel/client.ts";
import type { DialledExchange } from "../../channel/client.ts";
import type { EvidenceIssuer, EvidenceVerifier } from "../../attestation/evidence.ts";
import { createFounding } from "../../protocol/founding.ts";
import { createInsecureIdentity, createInsecureIssuer } from "../../attestation/kinds/none/issuer.ts";
import { createInsecureVerifier } from "../../attestation/kinds/none/verifier.ts";
import type { TrustPart } from "../../protocol/transcript.ts";
import type { CertificateAuthority } from "../../certificate/ca.ts";
import { createCertificateAuthority, issueClientCertificate, issueServiceCertificate } from "../../certificate/ca.ts";
import { clusterIdOf } from "../../certificate/cluster_id.ts";
import { readCsr } from "../../certificate/csr.ts";
import type { KeyPair } from "../../certificate/keys.ts";
import { generateKeyPair } from "../../certificate/keys.ts";
import { nodeSubject } from "../../certificate/subjects.ts";
import type { Admission, AdmissionRecord, NodeCertificateRecord } from "../../kubernetes/admission_records.ts";
import type { Bytes } from "../../platform/bytes.ts";
import { systemClock } from "../../platform/clock.ts";
import { MAXIMUM_CLOCK_SKEW_MS } from "../../platform/clock_skew.ts";
import { BootstrapError } from "../../platform/errors.ts";
import { createLog } from "../../platform/log.ts";
import { JoinServiceService } from "../../proto/gen/bootstrapper.ts";
import type { JoinClientMessage, JoinServerMessage } from "../../proto/gen/bootstrapper.ts";
import { clusterNetwork } from "../../service/claims_check.ts";
import type { JoiningNode } from "../../join/exchange_client.ts";
import { JOIN_CLIENT_DEADLINES, obtainTicket } from "../../join/exchange_client.ts";
import type { JoinExchangeService } from "../../service/exchange_parts.ts";
import { JOIN_SERVICE_DEADLINES } from "../../service/exchange_parts.ts";
import type { NodeKeys } from "../../protocol/node_keys.ts";
import { readOrCreateNodeKeys } from "../../protocol/node_keys.ts";
import { listenForJoins } from "../../service/service.ts";
import type { Ticket } from "../../join/ticket.ts";
import { VerificationQueue } from "../../service/verification_queue.ts";

/** The cluster document of the tests' clusters. */
export const CLUSTER_DOCUMENT = "kubernetesVersion: v1.36.3\n";
/** The version of the tests' nodes and clusters. */
export const KUBELET_VERSION = "v1.36.3";
/** The name of the tests' clusters. */
export const CLUSTER_NAME = "test";

const TICKET_LIFETIME_MS = 20 * 60_000;

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

  /** Records certificates of an admission. */
  recordCertificates(identity: string, uid: string, certificates: readonly NodeCertificateRecord[]): Promise<void> {
    if (this.#uids.get(identity) !== uid) {
      return Promise.reject(new BootstrapError("unavailable/admission-changed", "The admission is another one now"));
    }
    this.certificates.push(...certificates);
    return Promise.resolve();
  }
}

/** What can differ in a test's cluster. */
export interface TestClusterOptions {
  /** The operator that founds it. Default: a new one. */
  readonly operator?: KeyPair;
  readonly clusterName?: string;
  /** Default: a new one. */
  readonly ca?: CertificateAuthority;
  /** Default: believes everything (`none`). */
  readonly verifier?: EvidenceVerifier;
  /** Parts of the service. */
  readonly service?: Partial<JoinExchangeService>;
  /** Default: a port that the kernel chooses. */
  readonly port?: number;
}

/** A cluster: its CA, its operator, and a join service on loopback. */
export class TestCluster implements AsyncDisposable {
  /** The names that certificates were signed for. */
  readonly signed: string[] = [];
  readonly admissions = new MemoryAdmissions();
  /** The service's log. */
  readonly events: Record<string, unknown>[] = [];
  #server: ChannelServer | undefined;
  #service: JoinExchangeService | undefined;

  private constructor(
    readonly operator: KeyPair,
    readonly ca: CertificateAuthority,
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
        certificate: (await issueServiceCertificate(ca, keys.spki, new Date())).der,
        keys,
      },
      trust: { ...cluster.trust, clusterId: cluster.clusterId },
      verifier: options.verifier ?? createInsecureVerifier(),
      roleOf: () => "worker",
      checkNodeName: () => {},
      maximumClockSkewMs: MAXIMUM_CLOCK_SKEW_MS,
      confirmPolicy: () => Promise.resolve(),
      network: clusterNetwork(["127.0.0.1:6443"], CLUSTER_DOCUMENT),
      admissions: cluster.admissions,
      signCertificate: (nodeName, csr) => cluster.#sign(nodeName, csr),
      checkNotRemoved: () => Promise.resolve(),
      clusterVersion: () => Promise.resolve(KUBELET_VERSION),
      currentEpoch: () => Promise.resolve(1),
      ticket: {
        apiEndpoints: ["127.0.0.1:6443"],
        joinEndpoints: ["127.0.0.1:9444"],
        clusterDocument: CLUSTER_DOCUMENT,
      },
      queue: new VerificationQueue({ maximumActive: 4, maximumWaiting: 16 }),
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
    return { clusterName, clusterId: new Uint8Array(0), operatorKeys: [operator.spki] };
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

  /** The codes of the service's refusals, in order. */
  get refusals(): unknown[] {
    return this.events.filter(({ event }) => event === "join-refused").map(({ code }) => code);
  }

  async #sign(nodeName: string, csr: Uint8Array): Promise<Bytes> {
    this.signed.push(nodeName);
    const { spki } = await readCsr(csr);
    const request = { spki, subject: nodeSubject(nodeName), lifetimeMs: TICKET_LIFETIME_MS };
    return (await issueClientCertificate(this.ca, request, new Date())).der;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server?.close();
  }
}

/** The keys of a node, which are kept in no folder. */
export async function newNodeKeys(): Promise<NodeKeys> {
  const folder = await Deno.makeTempDir();
  try {
    return await readOrCreateNodeKeys(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** An issuer of variant `none` with its own identity. */
export function newInsecureIssuer(): EvidenceIssuer {
  return createInsecureIssuer(createInsecureIdentity());
}

/** A node that is configured for a cluster. */
export async function newNode(trust: TrustPart, changes: Partial<JoiningNode> = {}): Promise<JoiningNode> {
  return {
    trust,
    self: { name: "worker-1", address: "192.0.2.7", role: "worker" },
    kubeletVersion: KUBELET_VERSION,
    keys: await newNodeKeys(),
    issuer: newInsecureIssuer(),
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
