/**
 * The ceremony of founding among equals, as one founder takes part in it: pledge, roster, etcd, decision, end.
 *
 * @module
 */
import { join } from "node:path";
import { textIn, utf8 } from "../platform/bytes.ts";
import { BootstrapError } from "../platform/errors.ts";
import { exists, readFileIfExists, writeFileAtomic } from "../platform/files.ts";
import { CEREMONY_TIMES, type CeremonyEnd, type CeremonyParts, type Waiting } from "./ceremony_parts.ts";
import { Deciding } from "./deciding.ts";
import { EtcdProcess } from "./etcd_process.ts";
import { removeFounder } from "./leaving.ts";
import { fixRoster } from "./pledging.ts";
import { ROSTER_FILE } from "./roster.ts";
import { Waits } from "./waits.ts";

/** The longest time between two looks at the others' cards, milliseconds. */
const PLEDGING_LOOK_MS = 200;

/** It says that another cluster than this founder's is complete, and why. */
const SUPERSEDED_FILE = "superseded";
const MAXIMUM_REASON_BYTES = 4_096;

/** Writes that this founder's part has ended so: the others leave, and no etcd of theirs will say it again. */
async function recordSuperseded(folder: string, reason: string): Promise<void> {
  await writeFileAtomic(join(folder, SUPERSEDED_FILE), utf8(reason.slice(0, MAXIMUM_REASON_BYTES / 4)), {
    mode: 0o600,
  });
}

/**
 * Why this founder was superseded, if an earlier run ended so.
 *
 * @throws {BootstrapError} `system/file`.
 */
export async function readSuperseded(folder: string): Promise<string | undefined> {
  const bytes = await readFileIfExists(join(folder, SUPERSEDED_FILE), MAXIMUM_REASON_BYTES);
  return bytes === undefined ? undefined : textIn(bytes) ?? "";
}

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
    // Such a look asks nobody anything.
    const pollMs = Math.min(times.pollMs, PLEDGING_LOOK_MS);
    const roster = await fixRoster({ ...this.#parts, waits: this.#waits, pollMs }, signal);
    const etcd = new EtcdProcess({
      ...{ folder, roster, launcher, clock, log, random },
      ...(raftTimes === undefined ? {} : { times: raftTimes }),
    });
    const deciding = await Deciding.open({ ...this.#parts, roster, etcd, waits: this.#waits, times });
    return await this.#end(await this.#decide(etcd, deciding, signal));
  }

  async #end(end: CeremonyEnd): Promise<CeremonyEnd> {
    const { folder, log } = this.#parts;
    log.event(end.kind === "left" ? "info" : "warn", "founding-ended", { ...end });
    // A superseded founder keeps its files for the one who looks at it. The reset that it asks for removes them.
    if (end.kind === "superseded") await recordSuperseded(folder, end.reason);
    else await removeFounder(folder);
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
