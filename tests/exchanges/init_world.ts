/**
 * An InitServer and an operator in one process, for tests: real sockets, a real lock, and evidence that the test
 * decides.
 *
 * @module
 */
import { TPM_ACCEPTED, TPM_SETTINGS } from "../../attestation/testing/trust.ts";
import { join } from "node:path";
import { dial } from "../../channel/client.ts";
import type { DialledExchange } from "../../channel/client.ts";
import type { EvidenceIssuer, MeasurementRegisters } from "../../attestation/evidence.ts";
import { helloStatement } from "../../protocol/transcript.ts";
import type { TrustPart } from "../../protocol/transcript.ts";
import { generateKeyPair } from "../../certificate/keys.ts";
import type { KeyPair } from "../../certificate/keys.ts";
import { sign } from "../../protocol/signature.ts";
import { measureTrust } from "../../nodelock/measure.ts";
import { openNodeLock } from "../../nodelock/lock.ts";
import type { NodeLock } from "../../nodelock/lock.ts";
import type { Bytes } from "../../platform/bytes.ts";
import { randomBytes } from "../../platform/bytes.ts";
import { systemClock } from "../../platform/clock.ts";
import { BootstrapError } from "../../platform/errors.ts";
import { exists } from "../../platform/files.ts";
import { silentLog } from "../../platform/log.ts";
import { InitServiceService } from "../../proto/gen/bootstrapper.ts";
import type { InitClientMessage, InitServerMessage } from "../../proto/gen/bootstrapper.ts";
import type { ClusterRecord } from "../../operator/cluster_records.ts";
import { holdRecord } from "../../operator/cluster_records.ts";
import { NONCE_BYTES } from "../../protocol/lengths.ts";
import type { InitOptions, NewCluster } from "../../operator/init_client.ts";
import { foundOnNode } from "../../operator/init_client.ts";
import { InitServer } from "../../init/init_server.ts";
import type { InitServerDependencies } from "../../init/init_server.ts";
import { listenForInits } from "../../init/testing/init_listener.ts";
import type { Journal } from "../../journal/journal.ts";
import { Journals } from "../../journal/journals.ts";
import { StagedInitFolder } from "../../init/staged_init.ts";
import { retryingSteps } from "../../init/step_retries.ts";
import { ShownMachine, shownVerifier } from "./init_machine.ts";

/** The name of the tests' clusters. */
export const CLUSTER_NAME = "demo";
/** The cluster document of the tests' clusters. */
export const CLUSTER_DOCUMENT = "kubernetesVersion: v1.36.3\n";
/** The policy document of the tests' clusters. */
export const POLICY_DOCUMENT = "version: 1\n";

const CONNECT_DEADLINE_MS = 10_000;
/** An operator who loses its node for good reports that before the test itself times out. */
const PATIENCE_MS = 20_000;

/** The configuration of a test's node: the cluster's name and its operators, and no cluster ID. */
export function trustIn(...operators: readonly Pick<KeyPair, "spki">[]): TrustPart {
  return {
    clusterName: CLUSTER_NAME,
    clusterId: new Uint8Array(),
    operatorKeys: operators.map(({ spki }) => spki),
    ...TPM_SETTINGS,
  };
}

/** An operator with a key and records, which counts what the key signs. */
export class TestOperator implements AsyncDisposable {
  /** How often the key was used. The hello is the first time. */
  signatures = 0;
  /** The clusters that were kept at the end. */
  readonly kept: NewCluster[] = [];
  readonly keys: KeyPair;

  private constructor(keys: KeyPair, readonly recordsFolder: string) {
    const used = () => this.signatures++;
    this.keys = {
      type: keys.type,
      spki: keys.spki,
      get privateKey() {
        used();
        return keys.privateKey;
      },
    };
  }

  static async create(): Promise<TestOperator> {
    return new TestOperator(await generateKeyPair("ed25519"), await Deno.makeTempDir({ prefix: "operator-" }));
  }

  /** The record of the cluster's name. */
  async record(): Promise<ClusterRecord | undefined> {
    using held = await holdRecord(this.recordsFolder, CLUSTER_NAME);
    return held.current;
  }

  /** Runs the operator's side of an init against an endpoint. */
  async found(endpoint: string, changes: Partial<InitOptions> = {}): Promise<NewCluster> {
    using record = await holdRecord(this.recordsFolder, CLUSTER_NAME);
    return await foundOnNode({
      ...{ endpoint, clusterName: CLUSTER_NAME, operator: this.keys, operatorKeys: [this.keys.spki], record },
      ...{ clusterDocument: CLUSTER_DOCUMENT, policyDocument: POLICY_DOCUMENT },
      clock: systemClock,
      random: Math.random,
      patienceMs: PATIENCE_MS,
      accepted: TPM_ACCEPTED,
      verifier: shownVerifier,
      signal: new AbortController().signal,
      onVerified() {},
      onProgress() {},
      onLost() {},
      keep: (cluster) => Promise.resolve(void this.kept.push(cluster)),
      ...changes,
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.recordsFolder, { recursive: true });
  }
}

/** Says hello as an operator does, and returns N_c. */
export async function sayHello(
  { exchange }: DialledExchange<InitServerMessage, InitClientMessage>,
  keys: KeyPair,
): Promise<Bytes> {
  const clientNonce = randomBytes(NONCE_BYTES);
  const signature = await sign(keys, "hello", await helloStatement(exchange.binding, clientNonce));
  await exchange.send({ message: { $case: "hello", hello: { clientNonce, operatorKey: keys.spki, signature } } });
  return clientNonce;
}

/** What a test can decide about a node. */
export interface InitWorldOptions
  extends Partial<Pick<InitServerDependencies, "preflight" | "log" | "clock" | "deadlines">> {
  /** The state folder, which outlives the world. Default: a folder of the world's own, which is removed with it. */
  readonly folder?: string;
  /** Operators that the node obeys in addition to the world's. */
  readonly colleagues?: readonly TestOperator[];
  /** The operator, who outlives the world. Default: an operator of the world's own, who is removed with it. */
  readonly operator?: TestOperator;
  /** Makes the evidence and keeps the registers. Default: a {@linkcode ShownMachine}. */
  readonly machine?: EvidenceIssuer & MeasurementRegisters;
  /** How often the server cannot listen first. */
  readonly listenFailures?: number;
  /** Stands between the server and its lock. */
  readonly withLock?: (lock: NodeLock) => NodeLock;
  /** The work that makes the cluster, in steps of the journal that are retried as those of an init are. */
  readonly onFound?: (journal: Journal, signal: AbortSignal) => Promise<void>;
}

/** A node with an InitServer, and an operator. */
export class InitWorld implements AsyncDisposable {
  /** How often evidence was made. */
  issued = 0;
  /** How often a cluster was made. */
  foundings = 0;
  /** Settles when the server ends. */
  readonly served: Promise<void>;
  readonly folder: string;
  /** The socket behind the front; empty until the server listens. */
  socket = "";
  /**
   * Settles when the work that makes the cluster ends. Nothing is written to the folder after this and {@linkcode
   * served}.
   */
  founding: Promise<unknown> = Promise.resolve();
  readonly #stopping = new AbortController();
  readonly #ownFolder: boolean;
  readonly #ownOperator: boolean;
  #port = 0;

  private constructor(
    readonly operator: TestOperator,
    readonly trust: TrustPart,
    readonly lock: NodeLock,
    folder: string,
    options: InitWorldOptions,
    onListening: (port: number) => void,
  ) {
    this.folder = folder;
    this.#ownFolder = options.folder === undefined;
    this.#ownOperator = options.operator === undefined;
    const staged = new StagedInitFolder(folder);
    const machine = options.machine ?? new ShownMachine();
    const cluster = { apiEndpoints: ["a:6443"], joinEndpoints: ["a:9444"], nodeName: "n1" };
    const clock = options.clock ?? systemClock;
    let listenFailures = options.listenFailures ?? 0;
    const server = new InitServer({
      listen: async (handle) => {
        if (listenFailures-- > 0) throw new BootstrapError("system/listen", "The port is in use");
        const listener = await listenForInits(handle, options.log);
        this.socket = listener.socket;
        return listener;
      },
      ...{ folder: staged, trust, clock, log: options.log ?? silentLog },
      lock: options.withLock?.(lock) ?? lock,
      ...(options.deadlines === undefined ? {} : { deadlines: options.deadlines }),
      issuer: {
        variant: machine.variant,
        isChallenged: machine.isChallenged,
        issue: (statement) => (this.issued++, machine.issue(statement)),
        activate: (challenge) => machine.activate(challenge),
        ownIdentity: (bound) => machine.ownIdentity(bound),
      },
      journals: new Journals(folder, { owner: "init", role: "control-plane", nodeName: "n1" }, {
        clock,
        recorder: { phase: (_name, work) => work() },
      }),
      preflight: options.preflight ?? (() => Promise.resolve()),
      found: async (_init, journal, signal) => {
        if (journal.doneAt("kubeadm-init") === undefined) {
          const retries = { clock, random: Math.random, signal, onWaiting() {} };
          const making = retryingSteps(journal, retries).phase("kubeadm-init", async () => {
            this.foundings++;
            await options.onFound?.(journal, signal);
          });
          this.founding = making.catch(() => {});
          await making;
        }
        return { ...cluster, standsSince: journal.doneAt("kubeadm-init") ?? clock.now() };
      },
      onLocked() {},
      onListening: (port) => onListening(this.#port = port),
    });
    this.served = server.run(this.#stopping.signal);
  }

  /** Starts a node with an InitServer on loopback, as `run` does: the node is measured, and its lock is read. */
  static async start(options: InitWorldOptions = {}): Promise<InitWorld> {
    const folder = options.folder ?? await Deno.makeTempDir({ prefix: "init-world-" });
    const operator = options.operator ?? await TestOperator.create();
    const trust = trustIn(operator.keys, ...(options.colleagues ?? []).map(({ keys }) => keys));
    const machine = options.machine ?? new ShownMachine();
    await measureTrust(machine, trust);
    const lock = await openNodeLock({ folder, registers: machine, clock: systemClock });
    const listening = Promise.withResolvers<number>();
    const world = new InitWorld(operator, trust, lock, folder, { ...options, machine }, listening.resolve);
    world.served.then(() => listening.resolve(0), listening.reject);
    await listening.promise;
    return world;
  }

  get port(): number {
    return this.#port;
  }

  get endpoint(): string {
    return `127.0.0.1:${this.#port}`;
  }

  /** Runs the operator's side, and waits until the server ends too. */
  async found(changes: Partial<InitOptions> = {}): Promise<NewCluster> {
    const { operatorKeys } = this.trust;
    const cluster = await this.operator.found(this.endpoint, { operatorKeys, ...changes });
    await this.served;
    return cluster;
  }

  /** Opens an exchange without a message. */
  dial(): Promise<DialledExchange<InitServerMessage, InitClientMessage>> {
    return dial({ method: InitServiceService.init, endpoint: this.endpoint, connectDeadlineMs: CONNECT_DEADLINE_MS });
  }

  /** Whether an init has left anything on disk. */
  hasStaged(): Promise<boolean> {
    return exists(join(this.folder, "init"));
  }

  /** Ends the server as the race does. */
  stop(reason: BootstrapError): void {
    this.#stopping.abort(reason);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.stop(new BootstrapError("aborted/run", "The test is over"));
    await this.served.catch(() => {});
    if (this.#ownFolder) await Deno.remove(this.folder, { recursive: true });
    if (this.#ownOperator) await this.operator[Symbol.asyncDispose]();
  }
}
