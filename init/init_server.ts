/**
 * The InitServer: waits on a fresh node until one of its operators founds a cluster there.
 *
 * @module
 */
import { FreshNodeError } from "../protocol/refusal.ts";
import type { ChannelServer } from "../channel/server.ts";
import { createCertificateAuthority, issueAdminCertificate } from "../certificate/ca.ts";
import { clusterIdOf, clusterIdText } from "../certificate/cluster_id.ts";
import { checkJournalOperation } from "../journal/journal.ts";
import type { Journal } from "../journal/journal.ts";
import type { Journals } from "../journal/journals.ts";
import type { NodeLock } from "../nodelock/lock.ts";
import { onAbort } from "../platform/abortable.ts";
import { copyOf, equalBytes } from "../platform/bytes.ts";
import type { Clock } from "../platform/clock.ts";
import { asBootstrapError, BootstrapError } from "../platform/errors.ts";
import type { Log } from "../platform/log.ts";
import { errorFields } from "../platform/log.ts";
import { retry } from "../platform/retry.ts";
import { sign } from "../protocol/signature.ts";
import { answerStatement } from "../protocol/transcript.ts";
import { InitResult } from "../proto/gen/bootstrapper.ts";
import type { ExchangeDependencies, InitSession, ProposedCluster, VerifiedHello } from "./exchange_server.ts";
import { INIT_SERVER_DEADLINES, proposeAndAuthorise, receiveHello } from "./exchange_server.ts";
import { closeWhen, joining, otherOperator, sendTo, stopping, whatGoesOn } from "./_server_exchange.ts";
import type { StagedInit, StagedInitFolder } from "./staged_init.ts";
import { operationOf } from "./staged_init.ts";
import { HAND_OVER, LOCK_STEP, PREFLIGHT_STEP } from "../protocol/init_steps.ts";
import { Hellos } from "./hellos.ts";
import { InitTurns } from "./turn.ts";

/** How long after the end of an init its operator can still fetch the admin certificate. */
export const REATTACH_PERIOD_MS = 60 * 60 * 1000;

/** What the operator gets at the end, in addition to the certificates. */
export interface FoundedCluster {
  /** `host:port` of the API server. */
  readonly apiEndpoints: readonly string[];
  /** `host:port` of the join services. */
  readonly joinEndpoints: readonly string[];
  readonly nodeName: string;
  /** When the last step of the init was done. */
  readonly standsSince: Date;
}

/** What the InitServer works with. */
export interface InitServerDependencies extends ExchangeDependencies {
  /**
   * Listens for operators, and serves each exchange by `handle`.
   *
   * @throws {BootstrapError} `system/listen`.
   */
  listen(handle: (session: InitSession) => Promise<void>): Promise<ChannelServer>;
  readonly lock: NodeLock;
  /** Where an authorised init is written before the lock. */
  readonly folder: StagedInitFolder;
  /** Records the steps of the init. */
  readonly journals: Journals;
  /** Checks that this machine can carry out the request; changes nothing. The signal aborts when the caller is gone. */
  preflight(staged: StagedInit, journal: Journal, signal: AbortSignal): Promise<void>;
  /** Makes the cluster, by the steps of the journal that are not done yet. */
  found(staged: StagedInit, journal: Journal, signal: AbortSignal): Promise<FoundedCluster>;
  readonly clock: Clock;
  readonly log: Log;
  /** Called once, when the node is locked for an init of this server. */
  onLocked(): void;
  /** Called with the port when the server listens. */
  onListening?(port: number): void;
}

/** The pauses between tries to listen, of a node that is locked: another program may have the port. */
const LISTEN_BACK_OFF = { firstMs: 5_000, factor: 2, longestMs: 60_000, jitter: 0.2 } as const;

/** An init that is locked. It continues whether or not a caller listens. */
interface Operation {
  readonly staged: StagedInit;
  readonly journal: Journal;
  readonly result: Promise<FoundedCluster>;
}

/** An init that is locked, and the number of the last event that its caller has heard. */
interface LockedInit {
  readonly operation: Operation;
  readonly heard: number;
}

/** Serves Init on one node, before and after the lock. */
export class InitServer {
  readonly #deps: InitServerDependencies;
  readonly #turns = new InitTurns();
  readonly #hellos = new Hellos();
  readonly #acknowledged = Promise.withResolvers<void>();
  readonly #failed = Promise.withResolvers<never>();
  readonly #locked = Promise.withResolvers<Operation>();
  #operation: Operation | undefined;

  /** Creates a server that does not listen yet. */
  constructor(deps: InitServerDependencies) {
    this.#deps = deps;
    this.#failed.promise.catch(() => {});
  }

  /**
   * Listens until a cluster is founded on this node and its operator has the admin certificate, or until the time for
   * that is over. If the node is already locked for an init, continues that init first.
   *
   * @param signal Ends it early. Callers get the signal's reason.
   * @throws {BootstrapError} The signal's reason, or the error that made the init fail.
   */
  async run(signal: AbortSignal): Promise<void> {
    const { folder, journals, lock, clock, onListening } = this.#deps;
    const state = lock.state();
    if (state.name === "locked") {
      const { clusterId } = state.lock;
      const journal = await journals.read(clusterId);
      if (journal.steps.some(({ name }) => name === HAND_OVER)) return await this.#handOver(journal);
      const staged = await folder.read(clusterId);
      checkJournalOperation(journal.head ?? {}, await operationOf(staged));
      this.#operation = this.#begin(staged, journal, signal);
    }
    const stopped = Promise.withResolvers<never>();
    stopped.promise.catch(() => {});
    using _stopping = onAbort(signal, () => stopped.reject(signal.reason));
    const ended = new AbortController();
    const isLocked = this.#operation !== undefined;
    const listening = isLocked ? this.#listenAtLast(signal, ended.signal) : Promise.resolve(await this.#listen(signal));
    try {
      listening.then((server) => server === undefined ? undefined : onListening?.(server.port));
      await Promise.race([this.#untilOver(clock, ended.signal), this.#failed.promise, stopped.promise]);
    } finally {
      ended.abort();
      await (await listening)?.close();
    }
  }

  /**
   * A locked init continues while the server cannot listen, and listens as soon as it can: its operator comes back.
   *
   * @param ended Ends the tries. Then there is no server.
   */
  async #listenAtLast(signal: AbortSignal, ended: AbortSignal): Promise<ChannelServer | undefined> {
    const { clock, log } = this.#deps;
    try {
      return await retry(() => this.#listen(signal), {
        ...{ clock, random: Math.random, signal: ended, backOff: LISTEN_BACK_OFF },
        isRetriable: () => true,
        onFailedTry: ({ error, pauseMs }) =>
          log.event("error", "init-server-not-listening", { ...errorFields(error), pauseMs }),
      });
    } catch (error) {
      if (!ended.aborted) log.event("error", "init-server-not-listening", errorFields(asBootstrapError(error)));
      return undefined;
    }
  }

  #listen(signal: AbortSignal): Promise<ChannelServer> {
    return this.#deps.listen((session) => this.#serve(session, signal));
  }

  async #untilOver(clock: Clock, signal: AbortSignal): Promise<void> {
    await Promise.race([this.#acknowledged.promise, this.#reattachPeriod(clock, signal)]);
    const operation = await this.#locked.promise;
    await operation.result;
    await this.#handOver(operation.journal);
  }

  async #handOver(journal: Journal): Promise<void> {
    if (journal.doneAt(HAND_OVER) !== undefined) return await this.#deps.folder.forgetKey();
    await journal.phase(HAND_OVER, () => this.#deps.folder.forgetKey());
  }

  async #reattachPeriod(clock: Clock, signal: AbortSignal): Promise<void> {
    const operation = await this.#locked.promise;
    const { standsSince } = await operation.result;
    const leftMs = standsSince.getTime() + REATTACH_PERIOD_MS - clock.now().getTime();
    await clock.sleep(Math.min(Math.max(0, leftMs), REATTACH_PERIOD_MS), signal);
    this.#deps.log.event("warn", "init-never-acknowledged");
  }

  #begin(staged: StagedInit, journal: Journal, signal: AbortSignal): Operation {
    const operation = { staged, journal, result: this.#deps.found(staged, journal, signal) };
    operation.result.catch((error) => this.#failed.reject(asBootstrapError(error)));
    this.#locked.resolve(operation);
    return operation;
  }

  async #serve(session: InitSession, signal: AbortSignal): Promise<void> {
    const { exchange } = session;
    const hello = await receiveHello(session, { ...this.#deps, hellos: this.#hellos });
    using closing = closeWhen(signal, exchange, (reason) => this.#endBy(reason));
    using turn = await this.#turns.enter(hello.operatorKey);
    using _superseding = closeWhen(turn.superseded, exchange);
    const cluster = await this.#propose(hello);
    const { staged, heard, a2 } = await proposeAndAuthorise(session, hello, cluster, this.#deps);
    const locked = this.#operation === undefined
      ? await this.#lockOrStayFresh(session, staged, () => turn.hold(), signal)
      : { operation: this.#operation, heard };
    closing[Symbol.dispose]();
    turn[Symbol.dispose]();
    await this.#report(session, locked, a2, signal);
  }

  async #propose({ operatorKey }: VerifiedHello): Promise<ProposedCluster> {
    const state = this.#deps.lock.state();
    const recorded = this.#operation?.staged;
    if (recorded !== undefined) {
      const goesOn = whatGoesOn(recorded, this.#operation?.journal);
      if (equalBytes(recorded.founding.operatorKey, operatorKey)) return { ca: recorded.ca, recorded, goesOn };
      throw otherOperator(recorded, goesOn);
    }
    if (state.name === "locked") throw this.#isLocked ? stopping(undefined) : joining(state.lock.clusterId);
    if (state.name !== "unlocked") {
      throw new BootstrapError("precondition/locking", "This node is being locked just now");
    }
    return { ca: await createCertificateAuthority(this.#deps.clock.now()) };
  }

  /**
   * The error that a caller gets when the process ends by `reason`. An init that has its lock, or may have it, outlives
   * the process.
   */
  #endBy(reason: BootstrapError): BootstrapError {
    return this.#isLocked || this.#deps.lock.state().name === "locking" ? stopping(reason) : reason;
  }

  /** Whether the node is locked for an init. */
  get #isLocked(): boolean {
    const state = this.#deps.lock.state();
    return this.#operation !== undefined || (state.name === "locked" && state.lock.owner === "init");
  }

  /**
   * Marks a refusal before the lock as that of a fresh node: the cluster that its caller has recorded will never exist.
   */
  async #lockOrStayFresh(
    session: InitSession,
    staged: StagedInit,
    hold: () => boolean,
    signal: AbortSignal,
  ): Promise<LockedInit> {
    try {
      return await this.#lock(session, staged, hold, signal);
    } catch (cause) {
      const error = asBootstrapError(cause);
      const state = this.#deps.lock.state();
      // The init does not continue before the next start of this process.
      if (this.#isLocked) this.#failed.reject(error);
      if (state.name !== "unlocked") throw error;
      throw new FreshNodeError(error);
    }
  }

  /** Step 5, up to the lock. Every step that can fail without changing the node runs before the lock. */
  async #lock(
    { exchange }: InitSession,
    staged: StagedInit,
    hold: () => boolean,
    signal: AbortSignal,
  ): Promise<LockedInit> {
    const { journals, log, onLocked } = this.#deps;
    const clusterId = await clusterIdOf(staged.ca.certificate);
    const journal = journals.draft();
    const checked = journal.phase(PREFLIGHT_STEP, () => this.#deps.preflight(staged, journal, exchange.closed));
    // The checks are not awaited when their caller is gone or has begun another Init.
    const { promise: gone, resolve: leave } = Promise.withResolvers<void>();
    using _leaving = onAbort(exchange.closed, leave);
    const checkedAt = await journal.follow(sendTo(exchange), Promise.race([checked, gone]));
    if (exchange.closed.aborted) throw exchange.closed.reason;
    await checked;
    if (!hold()) throw new BootstrapError("aborted/superseded", "Another Init of this node has begun");
    const locking = journal.phase(LOCK_STEP, () => this.#stageAndTake(staged, journal, clusterId, exchange.closed));
    // A failure to report the lock to the caller does not affect the lock.
    const following = journal.follow(sendTo(exchange), locking, checkedAt).catch(() => checkedAt);
    await locking;
    log.event("info", "init-locked", { clusterId: clusterIdText(clusterId) });
    this.#operation = this.#begin(staged, journal, signal);
    onLocked();
    return { operation: this.#operation, heard: await following };
  }

  async #stageAndTake(staged: StagedInit, journal: Journal, clusterId: Uint8Array, closed: AbortSignal): Promise<void> {
    const { folder, journals, lock } = this.#deps;
    const discard = async () => {
      await folder.discard();
      await journals.discard();
    };
    try {
      await folder.stage(staged);
      await journals.keep(journal, clusterId, await operationOf(staged));
    } catch (error) {
      await discard().catch(() => {});
      throw error;
    }
    const isTaken = await lock.take({ owner: "init", clusterId, confirm: () => !closed.aborted }).catch(
      async (error) => {
        // The lock could not be prepared, and the node is fresh. A lock that failed stays failed for this process; the next
        // start finds out how far it got, and needs what is staged.
        if (lock.state().name === "unlocked") await discard();
        else this.#failed.reject(asBootstrapError(error));
        throw error;
      },
    );
    if (isTaken) return;
    await discard();
    const state = lock.state();
    throw state.name === "locked" ? joining(state.lock.clusterId) : closed.reason;
  }

  /** The rest of step 5. The caller may leave at any time; the operation continues. */
  async #report(
    { exchange }: InitSession,
    { operation: { staged, journal, result }, heard }: LockedInit,
    a2: Uint8Array,
    signal: AbortSignal,
  ): Promise<void> {
    await journal.follow(sendTo(exchange), result, heard);
    const { apiEndpoints, joinEndpoints, nodeName } = await result.catch((cause) => {
      throw signal.aborted ? stopping(cause) : cause;
    });
    const admin = await issueAdminCertificate(staged.ca, staged.request.adminKey, this.#deps.clock.now());
    const answer = copyOf(
      InitResult.encode({
        adminCertificate: admin.der,
        caCertificate: staged.ca.certificate.der,
        apiEndpoints: [...apiEndpoints],
        joinEndpoints: [...joinEndpoints],
        nodeName,
      }).finish(),
    );
    const signature = await sign(staged.ca.keys, "init-answer", await answerStatement(a2, answer));
    await exchange.send({ message: { $case: "result", result: { result: answer, signature } } });
    await exchange.receive("acknowledgement", (this.#deps.deadlines ?? INIT_SERVER_DEADLINES).answerMs);
    this.#acknowledged.resolve();
  }
}
