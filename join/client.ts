/**
 * The JoinClient: a fresh node finds a join service of its cluster, and becomes a member.
 *
 * | before the lock | every step that can fail without changing the node |
 * |---|---|
 * | `join-ticket` | ask all join services until one gives a ticket |
 * | `join-preflight` | kubeadm's own checks, with the ticket |
 * | `join-lock` | exactly one of InitServer and JoinClient gets the node |
 *
 * After the lock, the steps of `worker_sequence.ts` or `control_plane_sequence.ts` run. Each of them can be repeated.
 *
 * @module
 */
import type { NodeSelf } from "../protocol/node_self.ts";
import type { EvidenceIssuer } from "../attestation/evidence.ts";
import type { ClusterTrust } from "../protocol/transcript.ts";
import { privateKeyPem } from "../certificate/keys.ts";
import { writePem } from "../certificate/pem.ts";
import type { Journal } from "../journal/journal.ts";
import type { Journals } from "../journal/journals.ts";
import { runSequence } from "../journal/sequence.ts";
import { joinDocument } from "../kubernetes/documents.ts";
import type { JoinFacts } from "../kubernetes/documents.ts";
import type { FailedCheck, Kubeadm } from "../kubernetes/kubeadm.ts";
import { kubeconfig } from "../kubernetes/kubeconfig.ts";
import { defaultTimeouts } from "../kubernetes/settings.ts";
import type { Endpoint } from "../platform/endpoint.ts";
import type { NodeLock } from "../nodelock/lock.ts";
import { utf8 } from "../platform/bytes.ts";
import type { Clock } from "../platform/clock.ts";
import type { AnyErrorCode } from "../platform/errors.ts";
import { asBootstrapError, BootstrapError, errorFamily } from "../platform/errors.ts";
import { writeFileAtomic } from "../platform/files.ts";
import { errorFields } from "../platform/log.ts";
import type { Log } from "../platform/log.ts";
import { present } from "../platform/present.ts";
import { retry } from "../platform/retry.ts";
import { BACK_OFF } from "./_backoff.ts";
import type { ControlPlaneKit } from "../protocol/control_plane_kit.ts";
import { wipeKit } from "../protocol/control_plane_kit.ts";
import type { ControlPlaneMaker } from "./joining.ts";
import { CONTROL_PLANE_SEQUENCE } from "./control_plane_sequence.ts";
import { JOIN_CLIENT_DEADLINES } from "./exchange_client.ts";
import type { NodeKeys } from "../protocol/node_keys.ts";
import { readOrCreateIdentityKey, readOrCreateNodeKeys } from "../protocol/node_keys.ts";
import { discoveryPath, removeJoinSecrets } from "./run_folder.ts";
import type { Ticket, TicketTurn } from "./ticket.ts";
import type { EndpointFailure } from "./ticket_search.ts";
import { isOwnFailure, TicketSearch } from "./ticket_search.ts";
import type { Joining, NodeKubelet } from "./joining.ts";
import { WORKER_SEQUENCE } from "./worker_sequence.ts";

/** The steps of a join, up to and including its lock. */
export const JOIN_STEPS_BEFORE = ["join-ticket", "join-preflight", "join-lock"] as const;

/** What the JoinClient works with. */
export interface JoinClientDependencies {
  /** Whom the node obeys, by its configuration. */
  readonly trust: ClusterTrust;
  /** The node's name, its address, and the role that it asks for. */
  readonly self: NodeSelf;
  /** The join services to try, at least one. */
  readonly endpoints: readonly Endpoint[];
  /** The version of the node's kubelet, such as `v1.36.3`. */
  readonly kubeletVersion: string;
  readonly issuer: EvidenceIssuer;
  /** The node's lock: unlocked, or locked by an earlier start of the JoinClient. */
  readonly lock: NodeLock;
  readonly kubeadm: Pick<Kubeadm, "preflight" | "join">;
  readonly kubelet: NodeKubelet;
  /** Makes this node a control plane, if it asks for that role. */
  readonly controlPlane: ControlPlaneMaker;
  /** Checks this machine by itself, before anything is asked of a service. Default: there is nothing to check. */
  readonly localChecks?: () => Promise<readonly FailedCheck[]>;
  /** The bootstrapper's own folder on a tmpfs, for keys and ticket: `/run/bootstrapper`. */
  readonly runFolder: string;
  /** The folder that lives as long as the machine, for its identity key: `/var/lib/bootstrapper`. */
  readonly stateFolder: string;
  /** Records the steps. */
  readonly journals: Journals;
  readonly clock: Clock;
  /** Records refusals and failures. */
  readonly log: Log;
}

/** How the JoinClient is run. */
export interface JoinClientOptions {
  /** Ends the join, when the InitServer gets the node or the process is stopped. */
  readonly signal: AbortSignal;
  /** Called with every failed attempt at a join service, for `status`. */
  readonly onEndpointFailure?: (failure: EndpointFailure) => void;
  /** Called with every failure of the node's own steps that are retried, such as the preflight. */
  readonly onStepFailure?: (error: BootstrapError) => void;
  /** Called once when the JoinClient locks the node; not called if an earlier start locked it. */
  readonly onLocked?: (clusterId: Uint8Array) => void;
}

const PREFLIGHT_DEADLINE_MS = 5 * 60_000;
const SECRET_MODE = 0o600;

/**
 * Runs until the node is a member of its cluster, or until the InitServer has the node. If an earlier start locked the
 * node for a join, continues with that cluster alone.
 *
 * @returns `joined`, or `lost` if the InitServer has the node.
 * @throws {BootstrapError} `conflict/two-foundings`; `aborted/…` when the signal ends it; `system/…` if the node's disk
 *   or TPM fails before the lock; `precondition/journal`, `malformed/journal`. A refusal by a join service never ends
 *   it. After the lock, only the signal, a broken device (`system/…`) or a defect (`internal/…`) ends it.
 */
export async function runJoinClient(
  dependencies: JoinClientDependencies,
  options: JoinClientOptions,
): Promise<"joined" | "lost"> {
  const { journals, lock } = dependencies;
  const state = lock.state();
  if (state.name === "locked" && state.lock.owner !== "join") return "lost";
  const journal = state.name === "locked" ? await journals.read(state.lock.clusterId) : journals.draft();
  const client = new JoinClient(dependencies, options, await keysOf(dependencies), journal);
  if (state.name === "locked") {
    await client.becomeMember(state.lock.clusterId, undefined);
    return "joined";
  }
  let ticket: Ticket;
  try {
    ticket = await client.prepare();
    if (!await client.takeLock(ticket)) return "lost";
  } finally {
    await client.settleTurn();
  }
  options.onLocked?.(ticket.clusterId);
  await client.becomeMember(ticket.clusterId, ticket);
  return "joined";
}

async function keysOf(
  { issuer, runFolder, stateFolder }: Pick<JoinClientDependencies, "issuer" | "runFolder" | "stateFolder">,
): Promise<NodeKeys> {
  const keys = await readOrCreateNodeKeys(runFolder);
  if (issuer.identityIsKey !== true) return keys;
  return { ...keys, identity: await readOrCreateIdentityKey(stateFolder) };
}

class JoinClient {
  readonly #dependencies: JoinClientDependencies;
  readonly #options: JoinClientOptions;
  readonly #keys: NodeKeys;
  readonly #journal: Journal;
  readonly #discoveryPath: string;
  #search: TicketSearch;
  #turn: TicketTurn | undefined;
  #kit: ControlPlaneKit | undefined;

  constructor(dependencies: JoinClientDependencies, options: JoinClientOptions, keys: NodeKeys, journal: Journal) {
    this.#dependencies = dependencies;
    this.#options = options;
    this.#keys = keys;
    this.#journal = journal;
    this.#discoveryPath = discoveryPath(dependencies.runFolder);
    this.#search = this.#searchFor(undefined);
  }

  /** Runs the steps before the lock, again and again until they work. */
  prepare(): Promise<Ticket> {
    let usable: Ticket | undefined;
    return this.#untilItWorks("join-not-prepared", canBeMended, async () => {
      // A machine that cannot join asks no service for certificates or keys.
      await this.#checkMachine();
      const ticket = usable ?? await this.#obtainTicket();
      usable = undefined;
      try {
        await this.#journal.phase("join-preflight", () => this.#preflight(ticket));
      } catch (error) {
        if (asBootstrapError(error).code !== "precondition/preflight") throw error;
        if (this.#mayServeAgain(ticket)) usable = ticket;
        // A control plane that cannot join now must not keep others from joining.
        await this.#turn?.settle(false);
        this.#turn = undefined;
        throw error;
      }
      return ticket;
    });
  }

  /**
   * Whether a ticket serves for another try of the preflight. One with the cluster's keys does not: they are wiped, and
   * another control plane may have its turn.
   */
  #mayServeAgain({ kit, clientCertificate: { notBefore, notAfter } }: Ticket): boolean {
    return kit === undefined &&
      this.#dependencies.clock.now().getTime() < (notBefore.getTime() + notAfter.getTime()) / 2;
  }

  async #checkMachine(): Promise<void> {
    const { localChecks, controlPlane, self } = this.#dependencies;
    const failed = [
      ...await localChecks?.() ?? [],
      ...self.role === "worker" ? [] : await controlPlane.checkAgain?.(this.#options.signal) ?? [],
    ];
    if (failed.length > 0) throw notFit(failed);
  }

  /** Takes the lock, unless the InitServer has it. */
  async takeLock({ clusterId }: Ticket): Promise<boolean> {
    const { journals, lock } = this.#dependencies;
    const { signal } = this.#options;
    const confirm = () => !signal.aborted && this.#search.conflict === undefined;
    let won = false;
    try {
      won = await this.#journal.phase("join-lock", async () => {
        await journals.keep(this.#journal, clusterId);
        return await lock.take({ owner: "join", clusterId, confirm });
      });
    } finally {
      if (!won) this.#wipeKit();
      // After a failure that follows the lock itself, the next start finds out what happened, and needs the journal.
      if (!won && lock.state().name === "unlocked") await journals.discard();
    }
    if (won || lock.state().name === "locked") return won;
    throw this.#search.conflict ?? stopped(signal.reason);
  }

  /**
   * Tells the service that keeps a turn for this node what became of the ticket. A node that is still fresh asks again.
   */
  async settleTurn(): Promise<void> {
    const state = this.#dependencies.lock.state();
    if (state.name === "locked") await this.#turn?.settle(state.lock.owner === "join");
    else this.#turn?.[Symbol.dispose]();
    this.#turn = undefined;
  }

  /** Runs the steps after the lock, again and again with a fresh ticket, until they work. */
  async becomeMember(clusterId: Uint8Array, firstTicket: Ticket | undefined): Promise<void> {
    const { self, runFolder } = this.#dependencies;
    this.#search = this.#searchFor(clusterId);
    let ticket = firstTicket;
    await this.#untilItWorks("join-not-finished", isNoDefect, async () => {
      const joining: Joining = {
        ...this.#dependencies,
        journal: this.#journal,
        signal: this.#options.signal,
        obtainTicket: async () => {
          ticket ??= await this.#obtainTicket();
          await this.#dependencies.kubelet.installCertificates(ticket, this.#keys);
          return ticket;
        },
        facts: () => this.#facts(ticket),
      };
      try {
        if (self.role === "worker") await this.#run(WORKER_SEQUENCE, joining);
        else await this.#run(CONTROL_PLANE_SEQUENCE, joining);
      } catch (error) {
        // A ticket that did not suffice or was too old is not used again.
        ticket = undefined;
        throw error;
      }
    });
    await removeJoinSecrets(runFolder);
  }

  #run(sequence: typeof WORKER_SEQUENCE, joining: Joining): Promise<void> {
    return runSequence(sequence, joining, this.#journal, this.#options.signal);
  }

  async #obtainTicket(): Promise<Ticket> {
    const { self, trust } = this.#dependencies;
    const ticket = await this.#journal.phase("join-ticket", () => this.#search.run(this.#options.signal));
    this.#turn?.[Symbol.dispose]();
    this.#turn = ticket.turn;
    this.#kit = ticket.kit;
    // A locked node keeps its turn in any case.
    if (this.#dependencies.lock.state().name === "locked") this.#turn?.[Symbol.dispose]();
    const text = kubeconfig({
      clusterName: trust.clusterName,
      userName: self.name,
      server: `https://${ticket.apiEndpoints[0]}`,
      caPem: writePem("CERTIFICATE", ticket.ca.der),
      certificatePem: writePem("CERTIFICATE", ticket.clientCertificate.der),
      keyPem: await privateKeyPem(this.#keys.node),
    });
    await writeFileAtomic(this.#discoveryPath, utf8(text), { mode: SECRET_MODE });
    return ticket;
  }

  async #preflight(ticket: Ticket): Promise<void> {
    const { kubeadm, controlPlane, self } = this.#dependencies;
    const { signal } = this.#options;
    const run = { deadlineMs: PREFLIGHT_DEADLINE_MS, signal };
    // The checks of a worker, for either role: kubeadm's checks of a control plane need the cluster's keys on disk.
    const common = await kubeadm.preflight("join", joinDocument(this.#facts(ticket)), run);
    const failed = [...common, ...self.role === "worker" ? [] : await controlPlane.preflight(ticket, signal)];
    if (failed.length > 0) throw notFit(failed);
  }

  #facts(ticket: Ticket | undefined): JoinFacts {
    return {
      node: this.#dependencies.self,
      discoveryKubeconfigPath: this.#discoveryPath,
      timeouts: ticket?.settings.timeouts ?? defaultTimeouts,
    };
  }

  #searchFor(lockedTo: Uint8Array | undefined): TicketSearch {
    const { trust, self, kubeletVersion, issuer, endpoints, clock, log } = this.#dependencies;
    const { onEndpointFailure } = this.#options;
    return new TicketSearch({
      endpoints,
      clock,
      log,
      node: {
        purpose: "join",
        trust,
        self,
        kubeletVersion,
        issuer,
        clock,
        keys: this.#keys,
        deadlines: JOIN_CLIENT_DEADLINES,
        ...present("lockedTo", lockedTo),
      },
      ...present("onFailure", onEndpointFailure),
    });
  }

  /** Wipes the keys of a ticket whose work has failed. */
  #wipeKit(): void {
    if (this.#kit !== undefined) wipeKit(this.#kit);
    this.#kit = undefined;
  }

  async #untilItWorks<T>(
    event: string,
    isTriedAgain: (error: BootstrapError) => boolean,
    work: () => Promise<T>,
  ): Promise<T> {
    const { clock, log } = this.#dependencies;
    const { signal, onStepFailure } = this.#options;
    const wiping = async () => {
      try {
        return await work();
      } catch (error) {
        this.#wipeKit();
        throw error;
      }
    };
    try {
      return await retry(wiping, {
        clock,
        signal,
        random: Math.random,
        isRetriable: isTriedAgain,
        backOff: (error) => BACK_OFF[canBeMended(error) ? "refused" : "final"],
        onFailedTry: ({ error, pauseMs }) => {
          log.event("warn", event, { ...errorFields(error), pauseMs });
          onStepFailure?.(error);
        },
      });
    } catch (cause) {
      throw signal.aborted ? stopped(cause) : asBootstrapError(cause);
    }
  }
}

function notFit(failed: readonly FailedCheck[]): BootstrapError {
  const reasons = failed.map(({ check, reason }) => `${check}: ${reason}`).join("; ");
  return new BootstrapError("precondition/preflight", `This machine cannot join yet: ${reasons}`, {
    next: "Repair the machine, or build it from an image that has what is missing",
    details: Object.fromEntries(failed.map(({ check, reason }) => [check, reason])),
  });
}

function stopped(cause: unknown): BootstrapError {
  return new BootstrapError("aborted/join", "The join was stopped", { cause });
}

/** Failures of other programs, which another run of them may not have. */
const OF_OTHER_PROGRAMS: readonly AnyErrorCode[] = ["system/kubeadm", "system/command", "system/etcd"];
/** Failures of the machine's devices: a new process opens them anew. */
const OF_DEVICES: readonly AnyErrorCode[] = [
  "system/device",
  "system/device-silent",
  "system/snp-report",
  "system/tdx-quote",
  "system/tdx-register",
  "system/tpm",
  "system/tpm-pcr",
  "system/tpm-silent",
  "system/tpm-transport",
  "system/tsm",
  "system/tsm-generation",
];

/**
 * Decides what is retried after the lock. The node then belongs to its cluster for good, so it waits here, for minutes,
 * for what only people can fix. A process that ended instead would be restarted, and would stop the kubelet each time.
 * Only a broken device or a defect of this program ends it.
 */
function isNoDefect(error: BootstrapError): boolean {
  return errorFamily(error.code) !== "internal" && !(isOwnFailure(error) && OF_DEVICES.includes(error.code));
}

/** What people, time or a fresh ticket may fix, although it is not retriable. */
const MENDED_BY_PEOPLE: readonly AnyErrorCode[] = [
  "precondition/preflight",
  ...OF_OTHER_PROGRAMS,
  // An API server that has just started, and what kubeadm keeps in the cluster.
  "unauthorized/kubernetes-api",
  "precondition/not-found",
  "malformed/kubeadm-config",
];

/** Whether people, time or a fresh ticket may fix the error. Other errors need another image or another program. */
function canBeMended({ code, retriable }: BootstrapError): boolean {
  return retriable || MENDED_BY_PEOPLE.includes(code);
}
