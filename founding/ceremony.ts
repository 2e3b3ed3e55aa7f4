/**
 * The ceremony of founding among equals, as one founder takes part in it: pledge, roster, etcd, decision, end.
 *
 * @module
 */
import { join } from "node:path";
import { BootstrapError } from "../platform/errors.ts";
import { exists } from "../platform/files.ts";
import { CEREMONY_TIMES, type CeremonyEnd, type CeremonyParts, type Waiting } from "./ceremony_parts.ts";
import { Deciding } from "./deciding.ts";
import { EtcdProcess } from "./etcd_process.ts";
import { removeFounder } from "./leaving.ts";
import { fixRoster } from "./pledging.ts";
import { ROSTER_FILE } from "./roster.ts";
import { Waits } from "./waits.ts";

/** Takes part in a founding, from wherever an earlier run of the program left it. */
export class FoundingCeremony {
  readonly #parts: CeremonyParts;
  readonly #waits: Waits;

  /** Starts nothing yet. `finishLeaving()` has run, and F is on disk. */
  constructor(parts: CeremonyParts) {
    const { clock, times = CEREMONY_TIMES, onWaiting } = parts;
    this.#parts = parts;
    this.#waits = new Waits({ clock, lineMs: times.lineMs, onWaiting });
  }

  /** What is waited for now. */
  get waiting(): Waiting | undefined {
    return this.#waits.now;
  }

  /**
   * Runs until this founder's part ends. etcd has ended then, also where it throws.
   *
   * @throws {BootstrapError} `malformed/founder-file`, `conflict/pledge`, `system/file`; the signal's reason.
   */
  async run(signal: AbortSignal): Promise<CeremonyEnd> {
    const { folder, launcher, clock, log, random, raftTimes, times = CEREMONY_TIMES } = this.#parts;
    const wasFixed = await exists(join(folder, ROSTER_FILE));
    this.#parts.effects.openJoin({ kind: wasFixed ? "hold" : "any" });
    const roster = await fixRoster({ ...this.#parts, waits: this.#waits, pollMs: times.pollMs }, signal);
    const etcd = new EtcdProcess({
      ...{ folder, roster, launcher, clock, log, random },
      ...(raftTimes === undefined ? {} : { times: raftTimes }),
    });
    const deciding = await Deciding.open({ ...this.#parts, roster, etcd, waits: this.#waits, times });
    const end = await this.#decide(etcd, deciding, signal);
    log.event(end.kind === "left" ? "info" : "warn", "founding-ended", { ...end });
    // A superseded founder keeps its files for the one who looks at it. The reset that it asks for removes them.
    if (end.kind !== "superseded") await removeFounder(folder);
    return end;
  }

  async #decide(etcd: EtcdProcess, deciding: Deciding, signal: AbortSignal): Promise<CeremonyEnd> {
    const over = new AbortController();
    const both = AbortSignal.any([signal, over.signal]);
    const running = etcd.run(both);
    const decided = deciding.run(both);
    try {
      const first = await Promise.race([running, decided]);
      if (first !== "data-lost") return first;
    } finally {
      over.abort(new BootstrapError("aborted/etcd", "The founders' etcd is not needed any more"));
      await Promise.allSettled([running, decided]);
    }
    const reason = "the data of its etcd were lost after it was started once, so that it must not vote again";
    return await deciding.withoutEtcd(reason, signal);
  }
}
