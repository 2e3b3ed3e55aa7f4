/**
 * A join service's part in cutting nodes off: it keeps the configuration of the API server on its own machine true.
 *
 * It follows the entries that removals make, the identities that the policy in force bans, and the epochs. While the API
 * server does not answer, or says something that it could not load, the configuration stays as it is.
 *
 * While this process runs, what the cluster's store has lost is not lost here: an entry that was seen stays until its
 * certificates have ended. The epoch never goes back.
 *
 * Several join services do this at the same time, each for its own machine. What they change in the cluster (entries
 * that have ended, the epoch) they change by compare-and-swap. A machine whose clock is wrong judges its own API server's
 * nodes by that clock, as the API server itself does with their certificates; what is everybody's it deletes only when
 * it has seen it for longer than any certificate lives.
 *
 * @module
 */
import { readCutState, writeAuthorizationConfiguration } from "../kubernetes/authorization_configuration.ts";
import type { CutState } from "../kubernetes/authorization_configuration.ts";
import type { ObjectApi } from "../kubernetes/admission_records.ts";
import type { CutEntry, CutList } from "../kubernetes/cut_entries.ts";
import { CUT_MARGIN_MS, CutEntries } from "../kubernetes/cut_entries.ts";
import type { EndingEpoch, Epochs } from "../kubernetes/epochs.ts";
import { acceptedEpochs, endEpochsBefore, FIRST_EPOCH, raiseEpoch, readEpochs } from "../kubernetes/epochs.ts";
import type { StoredAdmission } from "../kubernetes/node_admissions.ts";
import { NodeAdmissions } from "../kubernetes/node_admissions.ts";
import type { Clock } from "../platform/clock.ts";
import { MINUTE_MS } from "../platform/duration.ts";
import { asBootstrapError, BootstrapError } from "../platform/errors.ts";
import type { Log } from "../platform/log.ts";
import { errorFields } from "../platform/log.ts";
import { backOffMs } from "../platform/retry.ts";
import { BannedCuts, noteMalformed } from "./_banned_cuts.ts";

/** What {@linkcode CutListKeeper} works with. */
export interface CutListDependencies {
  /** The API server of this machine, with the join service's rights. */
  readonly api: ObjectApi;
  /** The folder of the API server's configuration. */
  readonly folder: string;
  /** The identities that the policy in force bans. */
  readonly banned: () => ReadonlySet<string>;
  /** How long node certificates live at most, by the cluster's settings. */
  readonly certificateLifetimeMs: number;
  readonly clock: Clock;
  /** Records changes and failures. */
  readonly log: Log;
  /** Numbers from 0 to 1. Default: `Math.random`. */
  readonly random?: () => number;
}

/** A removal is in force within this time and the time of one answer. A look is two small answers. */
const LOOK_MS = 1_500;
const BACK_OFF = { firstMs: LOOK_MS, factor: 2, longestMs: 15_000, jitter: 0.2 };
/** How often the records of banned identities and ended entries are looked at. */
const UPKEEP_MS = 30_000;
/** How often all records are listed while an epoch is ending. */
const NODES_MS = 5 * MINUTE_MS;

/** At most so many epochs are raised in one look. */
const MOST_RAISES = 100;

/** At this length of the list, the epoch is raised. Nodes that renew in time do not notice. */
export const RAISE_AT = 500;
/** At this length, the epochs before the current one end at once: an API server does not load a longer list. */
export const END_AT = 900;

/** What a cut list is made from. */
export interface CutSources {
  readonly entries: readonly CutEntry[];
  /** The admissions of banned identities. */
  readonly banned: readonly CutEntry[];
  readonly epochs: Epochs;
  readonly nowMs: number;
}

/** The cut list at a time: what is not refused for its epoch, and still has a certificate that is valid. */
export function cutStateOf({ entries, banned, epochs, nowMs }: CutSources): CutState {
  const accepted = acceptedEpochs(epochs, nowMs);
  const [oldest = epochs.current] = accepted;
  const counts = ({ epoch, untilMs }: CutEntry) => epoch >= oldest && nowMs < untilMs + CUT_MARGIN_MS;
  const uids = [...entries, ...banned].filter(counts).map(({ uid }) => uid);
  return { epochs: accepted, cut: [...new Set(uids)].sort() };
}

/** Keeps the cut list of one API server. */
export class CutListKeeper {
  readonly #deps: CutListDependencies;
  readonly #entries: CutEntries;
  readonly #admissions: NodeAdmissions;
  readonly #bannedCuts: BannedCuts;
  /** The entries that were seen and have not ended, by UID. */
  readonly #seen = new Map<string, CutEntry>();
  /**
   * When this process first saw what is everybody's: the entries, and the epochs that are ending, by the machine's
   * monotonic clock. Its time of day may be wrong by years.
   */
  #sightings: ReadonlyMap<string, number> = new Map();
  #upkeepMs = -Infinity;
  #nodesMs = -Infinity;
  /** What was reported, so that it is logged once. */
  #reported = "";
  #unreadable = "";

  /** Creates a keeper that has not looked at anything yet. */
  constructor(deps: CutListDependencies) {
    this.#deps = deps;
    this.#entries = new CutEntries(deps.api);
    this.#admissions = new NodeAdmissions(deps.api);
    this.#bannedCuts = new BannedCuts(deps.api);
  }

  /** Keeps the list until the signal. Never throws: failures are logged and retried. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, log, random = Math.random } = this.#deps;
    for (let failures = 0; !signal.aborted;) {
      try {
        await this.look();
        failures = 0;
        this.#reported = "";
      } catch (cause) {
        failures++;
        const error = asBootstrapError(cause);
        if (error.code !== this.#reported) log.event("error", "cut-list-not-kept", errorFields(error));
        this.#reported = error.code;
      }
      await clock.sleep(backOffMs(BACK_OFF, Math.max(1, failures), random()), signal).catch(() => {});
    }
  }

  /**
   * Looks once, and brings the API server's configuration up to date.
   *
   * @throws {BootstrapError} The errors of the API server's calls, and those of writing the file.
   */
  async look(): Promise<void> {
    const { folder, clock, log } = this.#deps;
    const isUpkeep = clock.monotonicMs() >= this.#upkeepMs + UPKEEP_MS;
    const list = await this.#entries.list();
    const unreadable = [...list.unreadable];
    const epochs = await this.#epochs(unreadable);
    this.#observe([...list.entries.map(({ uid }) => uid), ...epochs.ending.map(sightingOf)]);
    for (const entry of list.entries) this.#seen.set(entry.uid, entry);
    const banned = await this.#bannedCuts.find(this.#deps.banned(), {
      ...{ nowMs: clock.monotonicMs(), isDemanded: isUpkeep, unreadable },
    });
    const nowMs = clock.now().getTime();
    const found: CutSources = { entries: [...this.#seen.values()], banned, epochs, nowMs };
    // A list that cannot be made shorter is still better than one without the newest removals.
    const sources = await this.#shortened(found).catch((error) => {
      noteMalformed(error, unreadable);
      return found;
    });
    this.#report(unreadable);
    const state = cutStateOf(sources);
    for (const uid of this.#seen.keys()) if (!state.cut.includes(uid)) this.#seen.delete(uid);
    if (await writeAuthorizationConfiguration(folder, state)) {
      log.event("info", "cut-list-written", { epochs: state.epochs.join(" "), cut: state.cut.length });
    }
    if (!isUpkeep) return;
    await this.#forgetEnded(list, sources);
    this.#upkeepMs = clock.monotonicMs();
  }

  #observe(keys: readonly string[]): void {
    const nowMs = this.#deps.clock.monotonicMs();
    this.#sightings = new Map(keys.map((key) => [key, this.#sightings.get(key) ?? nowMs]));
  }

  /** Whether something has been there for longer than any certificate lives. */
  #hasOutlived(key: string): boolean {
    const { clock, certificateLifetimeMs } = this.#deps;
    const sinceMs = this.#sightings.get(key) ?? Infinity;
    return clock.monotonicMs() >= sinceMs + certificateLifetimeMs + CUT_MARGIN_MS;
  }

  /**
   * The epochs of the cluster. If the store has an earlier one than this machine's file, its ConfigMap was deleted or
   * replaced: the epoch is raised again to what it was, or nodes would get certificates that API servers refuse, and
   * API servers would accept those that have been ended. If the ConfigMap cannot be read, the file's epochs stay.
   */
  async #epochs(unreadable: BootstrapError[]): Promise<Epochs> {
    const { api, folder, log } = this.#deps;
    const accepted = (await readCutState(folder).catch(() => undefined))?.epochs ?? [];
    // The last of the file is the one after the current one.
    const current = Math.max(0, ...accepted) - 1;
    const stored = await readEpochs(api).catch((error) => {
      if (current < FIRST_EPOCH) throw error;
      noteMalformed(error, unreadable);
    });
    if (stored === undefined) {
      const ending = accepted.filter((epoch) => epoch < current).map((epoch) => ({ epoch, untilMs: Infinity }));
      return { current, ending };
    }
    if (stored.current >= current) return stored;
    const untilMs = await this.#lastEndMs().catch((error) => {
      noteMalformed(error, unreadable);
      return this.#nextEndMs();
    });
    let epochs = stored;
    for (let raises = 0; epochs.current < current && raises < MOST_RAISES; raises++) {
      epochs = await raiseEpoch(api, epochs.current, accepted.includes(epochs.current) ? untilMs : 0);
    }
    log.event("error", "epochs-restored", { stored: stored.current, current: epochs.current });
    if (epochs.current < current) {
      throw new BootstrapError("unavailable/epochs", `The epoch ${current} is not reached yet, and is raised further`);
    }
    return epochs;
  }

  /** Raises or ends epochs where the list has become long, and ends those that no node needs any more. */
  async #shortened(sources: CutSources): Promise<CutSources> {
    const { api, log } = this.#deps;
    const { epochs, nowMs } = sources;
    const { current, ending } = epochs;
    const length = cutStateOf(sources).cut.length;
    let after = epochs;
    if (length >= END_AT && shorter(sources, { current, ending: [] }) < length) {
      after = await endEpochsBefore(api, current);
    } else if (length >= END_AT && shorter(sources, { current: current + 1, ending: [] }) < length) {
      // The nodes that were cut in the current epoch go only with it, and all other nodes must attest again.
      after = await raiseEpoch(api, current, 0);
    } else if (length >= RAISE_AT && ending.every(({ untilMs }) => nowMs >= untilMs)) {
      after = await raiseEpoch(api, current, await this.#lastEndMs());
    } else if (ending.length > 0) {
      after = await this.#endedIfUnneeded(epochs);
    }
    if (JSON.stringify(after) === JSON.stringify(epochs)) return sources;
    log.event(length >= END_AT ? "warn" : "info", "epochs-changed", {
      ...{ before: current, current: after.current, ending: after.ending.map(({ epoch }) => epoch).join(" ") },
      cut: length,
    });
    return { ...sources, epochs: after };
  }

  /** Ends the epochs before the current one if no node needs them, and else those that have ended by themselves. */
  async #endedIfUnneeded(epochs: Epochs): Promise<Epochs> {
    const { api, clock } = this.#deps;
    const { current, ending } = epochs;
    if (clock.monotonicMs() < this.#nodesMs + NODES_MS) return epochs;
    this.#nodesMs = clock.monotonicMs();
    const isNeeded = (await this.#admissions.list()).some((admission) => needsOlder(admission, current));
    const oldest = ending.find((one) => !this.#hasOutlived(sightingOf(one)))?.epoch ?? current;
    return await endEpochsBefore(api, isNeeded ? oldest : current);
  }

  /** When the last certificate of today's epoch ends, those included that are being signed now. */
  async #lastEndMs(): Promise<number> {
    const ends = (await this.#admissions.list()).map(({ status: { untilMs = 0 } }) => untilMs);
    return ends.reduce((latest, end) => Math.max(latest, end + CUT_MARGIN_MS), this.#nextEndMs());
  }

  /** When a certificate ends that is signed now. */
  #nextEndMs(): number {
    const { clock, certificateLifetimeMs } = this.#deps;
    return clock.now().getTime() + certificateLifetimeMs + CUT_MARGIN_MS;
  }

  /** Deletes entries whose certificates have ended, by their time or by their epoch. */
  async #forgetEnded({ entries }: CutList, sources: CutSources): Promise<void> {
    const inForce = new Set(cutStateOf(sources).cut);
    const { ending: [oldest], current } = sources.epochs;
    const isOver = ({ uid, epoch }: CutEntry) => epoch < (oldest?.epoch ?? current) || this.#hasOutlived(uid);
    for (const entry of entries.filter((one) => !inForce.has(one.uid) && isOver(one))) {
      await this.#entries.remove(entry);
      this.#deps.log.event("info", "cut-entry-ended", { identity: entry.identity, node: entry.nodeName });
    }
  }

  #report(unreadable: readonly BootstrapError[]): void {
    const reported = unreadable.map(({ message }) => message).join("\n");
    if (reported === this.#unreadable) return;
    this.#unreadable = reported;
    for (const error of unreadable) this.#deps.log.event("error", "cut-entry-unreadable", errorFields(error));
  }
}

/** The length of the list with other epochs. */
function shorter(sources: CutSources, epochs: Epochs): number {
  return cutStateOf({ ...sources, epochs }).cut.length;
}

function sightingOf({ epoch }: EndingEpoch): string {
  return `epoch ${epoch}`;
}

/**
 * Whether a node's newest certificate is of an epoch before the current one. That of a control plane whose certificates
 * are not on record is unknown.
 */
function needsOlder({ record, removedMs, status }: StoredAdmission, current: number): boolean {
  if (removedMs !== undefined) return false;
  const { epoch = 0, untilMs } = status;
  return untilMs === undefined ? record.role === "control-plane" : epoch < current;
}
