/**
 * An InitServer and an operator in one process, for tests: real sockets, real lock, evidence that a test decides.
 *
 * @module
 */
import { dial } from "../attestation/channel/client.ts";
import type { DialledExchange } from "../attestation/channel/client.ts";
import type { EvidenceIssuer, EvidenceVerifier } from "../attestation/evidence.ts";
import type { TrustPart } from "../attestation/transcript.ts";
import { generateKeyPair } from "../certificate/keys.ts";
import type { KeyPair } from "../certificate/keys.ts";
import { openNodeLock } from "../nodelock/lock.ts";
import type { NodeLock } from "../nodelock/lock.ts";
import { equalBytes } from "../platform/bytes.ts";
import { systemClock } from "../platform/clock.ts";
import { BootstrapError } from "../platform/errors.ts";
import { silentLog } from "../platform/log.ts";
import { InitServiceService } from "../proto/gen/bootstrapper.ts";
import type { InitClientMessage, InitServerMessage } from "../proto/gen/bootstrapper.ts";
import { holdRecord } from "./cluster_records.ts";
import type { InitOptions, NewCluster } from "./init_client.ts";
import { foundOnNode } from "./init_client.ts";
import type { FoundedCluster } from "./init_server.ts";
import { InitServer } from "./init_server.ts";
import type { InitServerDependencies } from "./init_server.ts";
import { StagedInitFolder } from "./staged_init.ts";

const IDENTITY = "ab".repeat(32);

/** Evidence that is the statement itself. */
export const echoIssuer: EvidenceIssuer = {
  variant: "none",
  issue: (statement) => Promise.resolve({ variant: "none", payload: statement }),
  activate: () => Promise.reject(new BootstrapError("refused/activation", "There is nothing to activate")),
};

/** Accepts the statement itself. */
export const echoVerifier: EvidenceVerifier = {
  variant: "none",
  verify({ payload }, statement) {
    if (!equalBytes(payload, statement)) throw new BootstrapError("refused/report-data", "Another statement");
    return Promise.resolve({ claims: { variant: "none", identity: IDENTITY, fresh: true } });
  },
};

/** A node with an InitServer, and an operator. */
export interface InitWorld extends AsyncDisposable {
  readonly folder: string;
  readonly operator: KeyPair;
  readonly lock: NodeLock;
  readonly endpoint: string;
  /** Ends when the server does. */
  readonly served: Promise<void>;
  /** How often a cluster was made. */
  readonly foundings: () => number;
  /** Ends the server as the race does. */
  stop(reason: BootstrapError): void;
  /** Runs the operator's side. */
  found(overrides?: Partial<InitOptions>): Promise<NewCluster>;
  /** Opens an exchange without saying anything. */
  dial(): Promise<DialledExchange<InitServerMessage, InitClientMessage>>;
}

/** What a test may decide. */
export interface InitWorldOptions extends Partial<Pick<InitServerDependencies, "preflight" | "issuer" | "log">> {
  readonly folder?: string;
  readonly operators?: readonly KeyPair[];
  readonly onFound?: () => Promise<void>;
}

/** Starts a node with an InitServer on loopback. */
export async function initWorld(options: InitWorldOptions = {}): Promise<InitWorld> {
  const folder = options.folder ?? await Deno.makeTempDir({ prefix: "init-world-" });
  const operators = options.operators ?? [await generateKeyPair("ed25519")];
  const [operator] = operators;
  if (operator === undefined) throw new Error("a world needs an operator");
  const operatorKeys = operators.map(({ spki }) => spki);
  const trust: TrustPart = { clusterName: "demo", clusterId: new Uint8Array(), operatorKeys };
  const lock = await openNodeLock({ folder, clock: systemClock });
  const staged = new StagedInitFolder(folder);
  let foundings = 0;
  const cluster: FoundedCluster = { apiEndpoints: ["a:6443"], joinEndpoints: ["a:9444"], nodeName: "n1" };
  const listening = Promise.withResolvers<number>();
  const stopping = new AbortController();
  const server = new InitServer({
    ...{ host: "127.0.0.1", port: 0, lock, folder: staged, trust, clock: systemClock, log: options.log ?? silentLog },
    issuer: options.issuer ?? echoIssuer,
    recorder: { phase: (_name, work) => work() },
    preflight: options.preflight ?? ((_staged, progress) => progress.phase("preflight", () => Promise.resolve())),
    async found(_staged, progress) {
      await progress.phase("kubeadm-init", async () => {
        foundings++;
        await options.onFound?.();
      });
      await staged.complete(systemClock.now());
      return cluster;
    },
    onLocked() {},
    onListening: listening.resolve,
  });
  const served = server.run(stopping.signal);
  served.catch(listening.reject);
  const endpoint = `127.0.0.1:${await listening.promise}`;
  const records = `${folder}/records`;

  async function found(overrides: Partial<InitOptions> = {}): Promise<NewCluster> {
    using record = await holdRecord(records, "demo");
    return await foundOnNode({
      ...{ endpoint, clusterName: "demo", operatorKeys, record, clock: systemClock, verifier: echoVerifier },
      operator: operator as KeyPair,
      clusterDocument: "kubernetesVersion: v1.36.3\n",
      policyDocument: "version: 1\n",
      signal: new AbortController().signal,
      onVerified() {},
      onProgress() {},
      keep: () => Promise.resolve(),
      ...overrides,
    });
  }

  return {
    ...{ folder, operator, lock, endpoint, served, found, foundings: () => foundings },
    stop: (reason) => stopping.abort(reason),
    dial: () => dial({ method: InitServiceService.init, endpoint, connectDeadlineMs: 5000 }),
    async [Symbol.asyncDispose]() {
      stopping.abort(new BootstrapError("aborted/test", "The test is over"));
      await served.catch(() => {});
      await Deno.remove(folder, { recursive: true });
    },
  };
}
