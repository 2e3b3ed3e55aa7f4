/**
 * The InitServer: waits on a fresh node until one of its operators founds a cluster on it.
 *
 * @module
 */
import type { ChannelServer } from "../attestation/channel/server.ts";
import { listen } from "../attestation/channel/server.ts";
import { createCertificateAuthority, issueAdminCertificate } from "../certificate/ca.ts";
import { clusterIdOf, clusterIdText } from "../certificate/cluster_id.ts";
import type { NodeLock } from "../nodelock/lock.ts";
import { equalBytes } from "../platform/bytes.ts";
import type { Clock } from "../platform/clock.ts";
import { asBootstrapError, BootstrapError } from "../platform/errors.ts";
import type { Log } from "../platform/log.ts";
import { errorFields } from "../platform/log.ts";
import { InitServiceService } from "../proto/gen/bootstrapper.ts";
import type { InitClientMessage, InitServerMessage, ProgressEvent } from "../proto/gen/bootstrapper.ts";
import type { ExchangeDependencies, InitSession, ProposedCluster, VerifiedHello } from "./exchange_server.ts";
import { INIT_SERVER_DEADLINES, proposeAndAuthorise, receiveHello } from "./exchange_server.ts";
import type { PhaseRecorder } from "./progress.ts";
import { ProgressLog } from "./progress.ts";
import type { StagedInit, StagedInitFolder } from "./staged_init.ts";
import { InitTurns } from "./turn.ts";

const MAXIMUM_CONNECTIONS = 32;
/** How long after the end of an init its operator may still come back for the admin certificate. */
export const REATTACH_PERIOD_MS = 60 * 60 * 1000;

/** What the operator hears at the end, beside the certificates. */
export interface FoundedCluster {
  /** `host:port` of the API server. */
  readonly apiEndpoints: readonly string[];
  /** `host:port` of the join services. */
  readonly joinEndpoints: readonly string[];
  /** The Node's name. */
  readonly nodeName: string;
}

/** What the InitServer is made of. */
export interface InitServerDependencies extends ExchangeDependencies {
  /** The host's address to listen on. */
  readonly host: string;
  /** The port; 0 for one that the kernel gives. */
  readonly port: number;
  /** The node's lock. */
  readonly lock: NodeLock;
  /** Where an authorised init is written before the lock. */
  readonly folder: StagedInitFolder;
  /** Where phases are written down. */
  readonly recorder: PhaseRecorder;
  /** Checks that this machine can carry out the request; changes nothing. The signal says that nobody waits any more. */
  preflight(staged: StagedInit, progress: ProgressLog, signal: AbortSignal): Promise<void>;
  /** Makes the cluster; every step may be done again. */
  found(staged: StagedInit, progress: ProgressLog): Promise<FoundedCluster>;
  /** Time. */
  readonly clock: Clock;
  /** What happened. */
  readonly log: Log;
  /** Called once, when the node is locked for an init of this server. */
  onLocked(): void;
  /** Called with the port when the server listens. */
  onListening?(port: number): void;
}

/** An init that is locked: it goes on alone, whoever listens. */
interface Operation {
  readonly staged: StagedInit;
  readonly progress: ProgressLog;
  readonly result: Promise<FoundedCluster>;
}

/** An init that has just been locked, and the number of the last event that its caller heard. */
interface LockedInit {
  readonly operation: Operation;
  readonly heard: number;
}

/** Serves Init on one node, before and after the lock. */
export class InitServer {
  readonly #deps: InitServerDependencies;
  readonly #turns = new InitTurns();
  readonly #acknowledged = Promise.withResolvers<void>();
  readonly #failed = Promise.withResolvers<never>();
  readonly #locked = Promise.withResolvers<Operation>();
  #operation: Operation | undefined;

  /** Not listening yet. */
  constructor(deps: InitServerDependencies) {
    this.#deps = deps;
    this.#failed.promise.catch(() => {});
  }

  /**
   * Listens until a cluster was founded on this node and its operator has the admin certificate, or the time for that is
   * over. Where the lock already is this node's init, goes on with it first.
   *
   * @param signal Ends it early; its reason is what callers hear.
   * @throws {BootstrapError} The signal's reason, or what made the init fail.
   */
  async run(signal: AbortSignal): Promise<void> {
    const { folder, lock, clock, onListening } = this.#deps;
    const state = lock.state();
    if (state.name === "locked") {
      if (await folder.acknowledged()) return await folder.acknowledge();
      this.#operation = this.#begin(await folder.read(state.lock.clusterId));
    }
    const stopped = Promise.withResolvers<never>();
    stopped.promise.catch(() => {});
    const stop = () => stopped.reject(signal.reason);
    signal.addEventListener("abort", stop, { once: true });
    if (signal.aborted) stop();
    const server = await this.#listenIfPossible(signal);
    try {
      if (server !== undefined) onListening?.(server.port);
      const end = new AbortController();
      try {
        await Promise.race([this.#untilOver(clock, end.signal), this.#failed.promise, stopped.promise]);
      } finally {
        end.abort();
      }
    } finally {
      signal.removeEventListener("abort", stop);
      await server?.close();
    }
  }

  /** An init that is locked goes on also where nobody can hear of it. */
  async #listenIfPossible(signal: AbortSignal): Promise<ChannelServer | undefined> {
    try {
      return await this.#listen(signal);
    } catch (error) {
      if (this.#operation === undefined) throw error;
      this.#deps.log.event("error", "init-server-not-listening", errorFields(asBootstrapError(error)));
      return undefined;
    }
  }

  #listen(signal: AbortSignal): Promise<ChannelServer> {
    const { host, port, log } = this.#deps;
    return listen<InitClientMessage, InitServerMessage>({
      service: InitServiceService,
      ...{ host, port, log, maximumConnections: MAXIMUM_CONNECTIONS },
      handle: (session) => this.#serve(session, signal),
    });
  }

  async #untilOver(clock: Clock, signal: AbortSignal): Promise<void> {
    await Promise.race([this.#acknowledged.promise, this.#reattachPeriod(clock, signal)]);
    await this.#operation?.result;
    await this.#deps.folder.acknowledge();
  }

  async #reattachPeriod(clock: Clock, signal: AbortSignal): Promise<void> {
    const operation = await this.#locked.promise;
    await operation.result;
    const completed = await this.#deps.folder.completedAt() ?? clock.now();
    const leftMs = completed.getTime() + REATTACH_PERIOD_MS - clock.now().getTime();
    await clock.sleep(Math.min(Math.max(0, leftMs), REATTACH_PERIOD_MS), signal);
    this.#deps.log.event("warn", "init-never-acknowledged");
  }

  #begin(staged: StagedInit, progress = this.#newProgress()): Operation {
    const operation = { staged, progress, result: this.#deps.found(staged, progress) };
    operation.result.catch((error) => this.#failed.reject(asBootstrapError(error)));
    this.#locked.resolve(operation);
    return operation;
  }

  #newProgress(): ProgressLog {
    return new ProgressLog(this.#deps.clock, this.#deps.recorder);
  }

  async #serve(session: InitSession, signal: AbortSignal): Promise<void> {
    const { exchange } = session;
    const hello = await receiveHello(session, this.#deps);
    using stopping = closeWhen(signal, exchange);
    using turn = await this.#turns.enter(hello.operatorKey);
    using _superseding = closeWhen(turn.superseded, exchange);
    const cluster = await this.#propose(hello);
    const staged = await proposeAndAuthorise(session, hello, cluster, this.#deps);
    const { operation, heard } = this.#operation === undefined
      ? await this.#lock(session, staged, () => turn.hold())
      : { operation: this.#operation, heard: 0 };
    stopping[Symbol.dispose]();
    turn[Symbol.dispose]();
    await this.#report(session, operation, heard);
  }

  async #propose({ operatorKey }: VerifiedHello): Promise<ProposedCluster> {
    const state = this.#deps.lock.state();
    if (state.name === "locked" || this.#operation !== undefined) {
      const recorded = this.#operation?.staged;
      if (recorded === undefined) throw joining(state.name === "locked" ? state.lock.clusterId : new Uint8Array());
      if (equalBytes(recorded.founding.operatorKey, operatorKey)) return { ca: recorded.ca, recorded };
      throw new BootstrapError("precondition/other-operator", "This node was initialised by another operator");
    }
    if (state.name !== "unlocked") {
      throw new BootstrapError("precondition/locking", "This node is being locked just now", { retriable: true });
    }
    return { ca: await createCertificateAuthority(this.#deps.clock.now()) };
  }

  /** Step 5, up to the lock: everything that can fail without having changed the node comes first. */
  async #lock({ exchange }: InitSession, staged: StagedInit, hold: () => boolean): Promise<LockedInit> {
    const { folder, lock, log, onLocked } = this.#deps;
    const clusterId = await clusterIdOf(staged.ca.certificate);
    const progress = this.#newProgress();
    const checked = this.#deps.preflight(staged, progress, exchange.closed);
    // Nobody waits for the checks of a caller that is gone, or that has begun anew.
    const heard = await progress.follow(sendTo(exchange), Promise.race([checked, aborted(exchange.closed)]));
    if (exchange.closed.aborted) throw exchange.closed.reason;
    await checked;
    if (!hold()) throw new BootstrapError("aborted/superseded", "Another Init of this node has begun");
    await folder.stage(staged);
    const won = await this.#take(clusterId, () => !exchange.closed.aborted);
    if (!won) {
      await folder.discard();
      const state = lock.state();
      throw state.name === "locked" ? joining(state.lock.clusterId) : exchange.closed.reason;
    }
    log.event("info", "init-locked", { clusterId: clusterIdText(clusterId) });
    this.#operation = this.#begin(staged, progress);
    onLocked();
    return { operation: this.#operation, heard };
  }

  /** A lock that failed stays so for this process: the next start finds out how far it came. */
  async #take(clusterId: Uint8Array, confirm: () => boolean): Promise<boolean> {
    try {
      return await this.#deps.lock.take({ owner: "init", clusterId, confirm });
    } catch (error) {
      this.#failed.reject(asBootstrapError(error));
      throw error;
    }
  }

  /** The rest of step 5. The caller may go away at any time: the operation goes on. */
  async #report({ exchange }: InitSession, { staged, progress, result }: Operation, heard: number): Promise<void> {
    await progress.follow(sendTo(exchange), result, heard);
    const { apiEndpoints, joinEndpoints, nodeName } = await result;
    const admin = await issueAdminCertificate(staged.ca, staged.request.adminKey, this.#deps.clock.now());
    await exchange.send({
      message: {
        $case: "result",
        result: {
          adminCertificate: admin.der,
          caCertificate: staged.ca.certificate.der,
          apiEndpoints: [...apiEndpoints],
          joinEndpoints: [...joinEndpoints],
          nodeName,
        },
      },
    });
    await exchange.receive("acknowledgement", (this.#deps.deadlines ?? INIT_SERVER_DEADLINES).answerMs);
    this.#acknowledged.resolve();
  }
}

function sendTo(exchange: InitSession["exchange"]): (event: ProgressEvent) => Promise<void> {
  return (progress) => exchange.send({ message: { $case: "progress", progress } });
}

/** Ends an exchange, with the reason, when the signal aborts before this is disposed. */
function closeWhen(signal: AbortSignal, exchange: InitSession["exchange"]): Disposable {
  const close = () => exchange.close(signal.reason);
  if (signal.aborted) close();
  signal.addEventListener("abort", close, { once: true });
  return { [Symbol.dispose]: () => signal.removeEventListener("abort", close) };
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}

function joining(clusterId: Uint8Array): BootstrapError {
  const id = clusterId.length === 0 ? "a cluster" : clusterIdText(clusterId);
  return new BootstrapError("precondition/joining", `This node is joining ${id}, and belongs to it for good`, {
    next: "Use a fresh machine for the init",
  });
}
