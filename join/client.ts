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
import type { Journal } from "../journal/journal.ts";
import type { Journals } from "../journal/journals.ts";
import { runSequence } from "../journal/sequence.ts";
import { present } from "../platform/present.ts";
import { joinDocument } from "../kubernetes/documents.ts";
import type { JoinFacts } from "../kubernetes/documents.ts";
import type { FailedCheck, Kubeadm } from "../kubernetes/kubeadm.ts";
import { defaultTimeouts } from "../kubernetes/settings.ts";
import { asBootstrapError, BootstrapError } from "../platform/errors.ts";
import { errorFields } from "../platform/log.ts";
import { retry } from "../platform/retry.ts";
import { BACK_OFF } from "./_backoff.ts";
import type { ControlPlaneMaker } from "./joining.ts";
import { CONTROL_PLANE_SEQUENCE } from "./control_plane_sequence.ts";
import type { NodeKeys } from "../protocol/node_keys.ts";
import { readOrCreateIdentityKey, readOrCreateNodeKeys } from "../protocol/node_keys.ts";
import { discoveryPath, removeJoinSecrets } from "./run_folder.ts";
import type { Ticket } from "./ticket.ts";
import type { Joining, NodeKubelet } from "./joining.ts";
import { canBeMended, isNoDefect } from "./_mendable.ts";
import type { TicketHolderOptions, TicketHolderParts } from "./ticket_holder.ts";
import { TicketHolder } from "./ticket_holder.ts";
import { WORKER_SEQUENCE } from "./worker_sequence.ts";

/** The steps of a join, up to and including its lock. */
export const JOIN_STEPS_BEFORE = ["join-ticket", "join-preflight", "join-lock"] as const;

/** What the JoinClient works with. */
export interface JoinClientDependencies extends TicketHolderParts {
  readonly kubeadm: Pick<Kubeadm, "preflight" | "join">;
  readonly kubelet: NodeKubelet;
  /** Makes this node a control plane, if it asks for that role. */
  readonly controlPlane: ControlPlaneMaker;
  /** Checks this machine by itself, before anything is asked of a service. Default: there is nothing to check. */
  readonly localChecks?: () => Promise<readonly FailedCheck[]>;
  /** The folder that lives as long as the machine, for its identity key: `/var/lib/bootstrapper`. */
  readonly stateFolder: string;
  /** Records the steps. */
  readonly journals: Journals;
}

/** How the JoinClient is run. */
export interface JoinClientOptions extends TicketHolderOptions {
  /** Called with every failure of the node's own steps that are retried, such as the preflight. */
  readonly onStepFailure?: (error: BootstrapError) => void;
  /** Called once when the JoinClient locks the node; not called if an earlier start locked it. */
  readonly onLocked?: (clusterId: Uint8Array) => void;
}

const PREFLIGHT_DEADLINE_MS = 5 * 60_000;

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
  readonly #tickets: TicketHolder;

  constructor(dependencies: JoinClientDependencies, options: JoinClientOptions, keys: NodeKeys, journal: Journal) {
    this.#dependencies = dependencies;
    this.#options = options;
    this.#keys = keys;
    this.#journal = journal;
    this.#tickets = new TicketHolder(dependencies, options, keys, journal);
  }

  /** Runs the steps before the lock, again and again until they work. */
  prepare(): Promise<Ticket> {
    let usable: Ticket | undefined;
    return this.#untilItWorks("join-not-prepared", canBeMended, async () => {
      // A machine that cannot join asks no service for certificates or keys.
      await this.#checkMachine();
      const ticket = usable ?? await this.#tickets.obtain();
      usable = undefined;
      try {
        await this.#journal.phase("join-preflight", () => this.#preflight(ticket));
      } catch (error) {
        if (asBootstrapError(error).code !== "precondition/preflight") throw error;
        if (this.#tickets.mayServeAgain(ticket)) usable = ticket;
        // A control plane that cannot join now must not keep others from joining.
        await this.#tickets.returnTurn();
        throw error;
      }
      return ticket;
    });
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
    const confirm = () => !signal.aborted && this.#tickets.conflict === undefined;
    let won = false;
    try {
      won = await this.#journal.phase("join-lock", async () => {
        await journals.keep(this.#journal, clusterId);
        return await lock.take({ owner: "join", clusterId, confirm });
      });
    } finally {
      if (!won) this.#tickets.wipeKeys();
      // After a failure that follows the lock itself, the next start finds out what happened, and needs the journal.
      if (!won && lock.state().name === "unlocked") await journals.discard();
    }
    if (won || lock.state().name === "locked") return won;
    throw this.#tickets.conflict ?? stopped(signal.reason);
  }

  /** Tells the service that keeps a turn for this node what became of the ticket. */
  settleTurn(): Promise<void> {
    return this.#tickets.settleTurn();
  }

  /** Runs the steps after the lock, again and again with a fresh ticket, until they work. */
  async becomeMember(clusterId: Uint8Array, firstTicket: Ticket | undefined): Promise<void> {
    const { self, runFolder } = this.#dependencies;
    this.#tickets.lockTo(clusterId);
    let ticket = firstTicket;
    await this.#untilItWorks("join-not-finished", isNoDefect, async () => {
      const joining: Joining = {
        ...this.#dependencies,
        journal: this.#journal,
        signal: this.#options.signal,
        obtainTicket: async () => {
          ticket ??= await this.#tickets.obtain();
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
      discoveryKubeconfigPath: discoveryPath(this.#dependencies.runFolder),
      timeouts: ticket?.settings.timeouts ?? defaultTimeouts,
      ...present("joinConfiguration", ticket?.settings.kubeadm?.JoinConfiguration),
    };
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
        this.#tickets.wipeKeys();
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
