/**
 * The JoinClient: a fresh node finds a join service of its cluster, and becomes a worker.
 *
 * | before the lock | everything that can fail without having changed the node |
 * |---|---|
 * | `join-ticket` | ask all join services until one gives a ticket |
 * | `join-preflight` | kubeadm's own checks, with the ticket |
 * | `join-lock` | exactly one of InitServer and JoinClient gets the node |
 *
 * | after it | each may be repeated |
 * |---|---|
 * | `kubeadm-join` | with the ticket; a fresh one where it was not enough |
 * | `kubelet-healthy` | the kubelet runs |
 * | `node-registered` | the cluster has the Node; the ticket and its keys are removed |
 *
 * @module
 */
import { join } from "node:path";
import type { EvidenceIssuer } from "../attestation/evidence.ts";
import type { TrustPart } from "../attestation/transcript.ts";
import { privateKeyPem } from "../certificate/keys.ts";
import { writePem } from "../certificate/pem.ts";
import { joinDocument } from "../kubernetes/documents.ts";
import type { Kubeadm } from "../kubernetes/kubeadm.ts";
import { kubeconfig } from "../kubernetes/kubeconfig.ts";
import { defaultTimeouts } from "../kubernetes/settings.ts";
import type { NodeSelf } from "../node/configuration_defaults.ts";
import type { Endpoint } from "../node/endpoint.ts";
import type { NodeLock } from "../nodelock/lock.ts";
import { utf8 } from "../platform/bytes.ts";
import type { Clock } from "../platform/clock.ts";
import { asBootstrapError, BootstrapError } from "../platform/errors.ts";
import { removeIfExists, writeFileAtomic } from "../platform/files.ts";
import { errorFields } from "../platform/log.ts";
import type { Log } from "../platform/log.ts";
import { backoffMs } from "./_backoff.ts";
import { JOIN_CLIENT_DEADLINES } from "./exchange_client.ts";
import type { NodeKeys } from "./node_keys.ts";
import { readOrCreateNodeKeys, removeNodeKeys } from "./node_keys.ts";
import type { Ticket } from "./ticket.ts";
import type { EndpointFailure } from "./ticket_search.ts";
import { TicketSearch } from "./ticket_search.ts";

/** What the JoinClient works with. */
export interface JoinClientDependencies {
  /** Whom the node obeys. */
  readonly trust: TrustPart;
  /** What it calls itself, and what it wants to be. */
  readonly self: NodeSelf;
  /** The join services to try, at least one. */
  readonly endpoints: readonly Endpoint[];
  /** The version of the node's kubelet, as `v1.36.3`. */
  readonly kubeletVersion: string;
  /** Makes the node's evidence. */
  readonly issuer: EvidenceIssuer;
  /** The node's lock, unlocked, or locked by an earlier start of the JoinClient. */
  readonly lock: NodeLock;
  /** kubeadm on this node. */
  readonly kubeadm: Pick<Kubeadm, "preflight" | "join">;
  /** The kubelet of this node. */
  readonly kubelet: NodeKubelet;
  /** A folder of our own on a tmpfs, for keys and ticket: `/run/bootstrapper`. */
  readonly runFolder: string;
  /** Records the steps, as `TimelineRecorder` does. */
  readonly phase: <T>(name: string, work: () => Promise<T>) => Promise<T>;
  /** The node's clock. */
  readonly clock: Clock;
  /** Where refusals and failures are written. */
  readonly log: Log;
}

/** The kubelet of this node, as far as a join goes. */
export interface NodeKubelet {
  /** Whether it has its configuration and credentials of its own. */
  hasJoined(): Promise<boolean>;
  /** Has it started, now and at every boot; it may run already. */
  start(): Promise<void>;
  /** Waits until it is healthy. */
  waitUntilHealthy(signal: AbortSignal): Promise<void>;
  /** Waits until the cluster has this Node. */
  waitUntilRegistered(signal: AbortSignal): Promise<void>;
}

/** How the JoinClient is run. */
export interface JoinClientOptions {
  /** Ends it: the node went to the InitServer, or the process is stopped. */
  readonly signal: AbortSignal;
  /** Hears of every attempt at a join service that failed, for `status`. */
  readonly onEndpointFailure?: (failure: EndpointFailure) => void;
  /** Hears of every step of this node's own that failed and is done again, such as the preflight. */
  readonly onStepFailure?: (error: BootstrapError) => void;
  /** The node belongs to the JoinClient from now on; called once, not where it did already. */
  readonly onLocked?: (clusterId: Uint8Array) => void;
}

const PREFLIGHT_DEADLINE_MS = 5 * 60_000;
/** Longer than the waits of kubeadm inside it. */
const KUBEADM_JOIN_DEADLINE_MS = 25 * 60_000;
const DISCOVERY_FILE = "discovery.conf";
const SECRET_MODE = 0o600;

/**
 * Runs until the node is a worker of its cluster, or belongs to somebody else. Where the node is locked by an earlier start it
 * goes on, with that cluster alone.
 *
 * @returns `joined`, or `lost` if the InitServer has the node.
 * @throws {BootstrapError} `conflict/two-foundings`; `aborted/…` when the signal ends it; `system/…` where the node's disk or
 *   TPM fails. No refusal by a join service ends it.
 */
export async function runJoinClient(
  dependencies: JoinClientDependencies,
  options: JoinClientOptions,
): Promise<"joined" | "lost"> {
  const state = dependencies.lock.state();
  if (state.name === "locked" && state.lock.owner !== "join") return "lost";
  const client = new JoinClient(dependencies, options, await readOrCreateNodeKeys(dependencies.runFolder));
  if (state.name === "locked") {
    await client.becomeWorker(state.lock.clusterId, undefined);
    return "joined";
  }
  const ticket = await client.prepare();
  if (!await client.takeLock(ticket)) return "lost";
  options.onLocked?.(ticket.clusterId);
  await client.becomeWorker(ticket.clusterId, ticket);
  return "joined";
}

/** Removes the ticket and the keys of a join, which a member has no use for, whoever made it one. */
export async function removeJoinSecrets(runFolder: string): Promise<void> {
  await removeIfExists(join(runFolder, DISCOVERY_FILE));
  await removeNodeKeys(runFolder);
}

class JoinClient {
  readonly #dependencies: JoinClientDependencies;
  readonly #options: JoinClientOptions;
  readonly #keys: NodeKeys;
  readonly #discoveryPath: string;
  #search: TicketSearch;

  constructor(dependencies: JoinClientDependencies, options: JoinClientOptions, keys: NodeKeys) {
    this.#dependencies = dependencies;
    this.#options = options;
    this.#keys = keys;
    this.#discoveryPath = join(dependencies.runFolder, DISCOVERY_FILE);
    this.#search = this.#searchFor(undefined);
  }

  /** Everything that comes before the lock; again and again until it works. */
  prepare(): Promise<Ticket> {
    return this.#untilItWorks("join-not-prepared", async () => {
      const ticket = await this.#obtainTicket();
      await this.#dependencies.phase("join-preflight", () => this.#preflight(ticket));
      return ticket;
    });
  }

  /** Takes the node, unless it has gone to somebody else. */
  async takeLock({ clusterId }: Ticket): Promise<boolean> {
    const { lock, phase } = this.#dependencies;
    const { signal } = this.#options;
    const confirm = () => !signal.aborted && this.#search.conflict === undefined;
    const won = await phase("join-lock", () => lock.take({ owner: "join", clusterId, confirm }));
    if (won || lock.state().name === "locked") return won;
    throw this.#search.conflict ?? stopped(signal.reason);
  }

  /** Everything that comes after the lock; again and again, with a fresh ticket, until it works. */
  async becomeWorker(clusterId: Uint8Array, firstTicket: Ticket | undefined): Promise<void> {
    const { kubeadm, kubelet, runFolder, phase } = this.#dependencies;
    const { signal } = this.#options;
    this.#search = this.#searchFor(clusterId);
    let ticket = firstTicket;
    await this.#untilItWorks("join-not-finished", async () => {
      const known = ticket;
      ticket = undefined;
      const usable = await kubelet.hasJoined() ? known : known ?? await this.#obtainTicket();
      await phase(
        "kubeadm-join",
        () => kubeadm.join(this.#document(usable), { deadlineMs: KUBEADM_JOIN_DEADLINE_MS, signal }),
      );
      await phase("kubelet-healthy", async () => {
        await kubelet.start();
        await kubelet.waitUntilHealthy(signal);
      });
      await phase("node-registered", () => kubelet.waitUntilRegistered(signal));
    });
    await removeJoinSecrets(runFolder);
  }

  async #obtainTicket(): Promise<Ticket> {
    const { phase, self, trust } = this.#dependencies;
    const ticket = await phase("join-ticket", () => this.#search.run(this.#options.signal));
    const text = kubeconfig({
      clusterName: trust.clusterName,
      userName: self.name,
      server: `https://${ticket.apiEndpoints[0]}`,
      caPem: writePem("CERTIFICATE", ticket.ca.der),
      certificatePem: writePem("CERTIFICATE", ticket.certificate.der),
      keyPem: await privateKeyPem(this.#keys.node),
    });
    await writeFileAtomic(this.#discoveryPath, utf8(text), { mode: SECRET_MODE });
    return ticket;
  }

  async #preflight(ticket: Ticket): Promise<void> {
    const { kubeadm } = this.#dependencies;
    const { signal } = this.#options;
    const run = { deadlineMs: PREFLIGHT_DEADLINE_MS, signal };
    const failed = await kubeadm.preflight("join", this.#document(ticket), run);
    if (failed.length === 0) return;
    const reasons = failed.map(({ check, reason }) => `${check}: ${reason}`).join("; ");
    throw new BootstrapError("precondition/preflight", `This machine cannot join yet: ${reasons}`, {
      next: "Mend the machine, or build it from an image that has what is missing",
      details: Object.fromEntries(failed.map(({ check, reason }) => [check, reason])),
    });
  }

  #document(ticket: Ticket | undefined): string {
    const { name, address } = this.#dependencies.self;
    return joinDocument({
      node: { name, address },
      discoveryKubeconfigPath: this.#discoveryPath,
      timeouts: ticket?.settings.timeouts ?? defaultTimeouts,
    });
  }

  #searchFor(lockedTo: Uint8Array | undefined): TicketSearch {
    const { trust, self, kubeletVersion, issuer, endpoints, clock, log } = this.#dependencies;
    const { onEndpointFailure } = this.#options;
    return new TicketSearch({
      ...{ endpoints, clock, log },
      node: {
        ...{ trust, self, kubeletVersion, issuer, clock, keys: this.#keys, deadlines: JOIN_CLIENT_DEADLINES },
        ...(lockedTo === undefined ? {} : { lockedTo }),
      },
      ...(onEndpointFailure === undefined ? {} : { onFailure: onEndpointFailure }),
    });
  }

  async #untilItWorks<T>(event: string, work: () => Promise<T>): Promise<T> {
    const { clock, log } = this.#dependencies;
    const { signal } = this.#options;
    for (let attempt = 1;; attempt++) {
      try {
        return await work();
      } catch (cause) {
        const error = asBootstrapError(cause);
        if (signal.aborted) throw stopped(cause);
        if (!canBeMended(error)) throw error;
        const pauseMs = backoffMs("refused", attempt, Math.random());
        log.event("warn", event, { ...errorFields(error), pauseMs });
        this.#options.onStepFailure?.(error);
        await clock.sleep(pauseMs, signal).catch((reason: unknown) => Promise.reject(stopped(reason)));
      }
    }
  }
}

function stopped(cause: unknown): BootstrapError {
  return new BootstrapError("aborted/join", "The join was stopped", { cause });
}

/** What people, time or a fresh ticket may mend, as against what only another image or another program does. */
function canBeMended({ code, retriable }: BootstrapError): boolean {
  return retriable || code === "precondition/preflight" || code === "system/kubeadm" || code === "system/command";
}
