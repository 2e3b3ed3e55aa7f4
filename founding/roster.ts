/**
 * The roster: who founds, once each has pledged it.
 *
 * @module
 */
import { join } from "node:path";
import { equalBytes } from "../platform/bytes.ts";
import { hasCode } from "../platform/errors.ts";
import { createFileExclusive, readFileIfExists, removeTemporaries, syncFile } from "../platform/files.ts";
import { verify } from "../protocol/signature.ts";
import { malformed, type RosterFounder } from "./_founders.ts";
import { decodeRoster, encodeRoster, type FounderPledge, MAXIMUM_FILE_BYTES } from "./_roster_files.ts";
import type { Pledge } from "./pledge.ts";

/** The roster's name in the founder's folder. */
export const ROSTER_FILE = "roster";

/** What came of the pledges that were heard. */
export interface HeardPledges {
  /** The founders whose pledge is new. */
  readonly added: readonly RosterFounder[];
  /** The founders in whose name another signature came: over another roster, or by another key. */
  readonly refused: readonly RosterFounder[];
}

/**
 * Collects the pledges over the own R. It is fixed when there is one by each founder, and its file is synced: of two
 * rosters with one honest key in common, at most one is ever fixed.
 */
export class Roster {
  readonly #path: string;
  readonly #pledge: Pledge;
  readonly #pledges = new Map<string, FounderPledge>();
  #isFixed = false;

  private constructor(folder: string, pledge: Pledge) {
    this.#path = join(folder, ROSTER_FILE);
    this.#pledge = pledge;
    this.#pledges.set(pledge.own.key, pledge.own);
  }

  /**
   * Begins with the own pledge, and with the roster that an earlier run fixed. All its signatures are verified anew.
   *
   * @throws {BootstrapError} `malformed/founder-file`, `system/file`.
   */
  static async open(folder: string, pledge: Pledge): Promise<Roster> {
    const roster = new Roster(folder, pledge);
    await removeTemporaries(roster.#path);
    const bytes = await readFileIfExists(roster.#path, MAXIMUM_FILE_BYTES);
    if (bytes !== undefined) await roster.#takeFile(bytes);
    return roster;
  }

  /** The founders, sorted by H(SPKI). */
  get founders(): readonly RosterFounder[] {
    return this.#pledge.founders;
  }

  /** This founder. */
  get self(): RosterFounder {
    return this.#pledge.self;
  }

  /** R. */
  get digest(): Uint8Array {
    return this.#pledge.roster;
  }

  /** Whether all have pledged, and disk has it. */
  get isFixed(): boolean {
    return this.#isFixed;
  }

  /** Every valid pledge that was heard, whosever: a card hands all of them on. */
  get pledges(): readonly FounderPledge[] {
    return [...this.#pledges.values()];
  }

  /** The founders whose pledge was not heard yet. */
  get missing(): readonly RosterFounder[] {
    return this.founders.filter(({ key }) => !this.#pledges.has(key));
  }

  /**
   * Takes pledges from a card. Keys outside the roster are not looked at. The last pledge fixes the roster.
   *
   * @throws {BootstrapError} `system/file` if the fixed roster cannot be written: the next call tries again.
   */
  async hear(pledges: readonly FounderPledge[]): Promise<HeardPledges> {
    const [added, refused]: [RosterFounder[], RosterFounder[]] = [[], []];
    for (const pledge of pledges) {
      const founder = this.founders.find(({ key }) => key === pledge.key);
      if (founder === undefined || this.#pledges.has(founder.key)) continue;
      if (await this.#isValid(founder, pledge)) {
        this.#pledges.set(founder.key, { key: founder.key, signature: pledge.signature });
        added.push(founder);
      } else refused.push(founder);
    }
    await this.#fix();
    return { added, refused };
  }

  async #fix(): Promise<void> {
    if (this.#isFixed || this.missing.length > 0) return;
    const bytes = encodeRoster({ roster: this.#pledge.roster, pledges: this.pledges });
    // A file that is there was linked by this process before its folder could be synced.
    if (!await createFileExclusive(this.#path, bytes, { mode: 0o600 })) await syncFile(this.#path);
    this.#isFixed = true;
  }

  async #takeFile(bytes: Uint8Array): Promise<void> {
    const { roster, pledges } = decodeRoster(bytes, this.#path);
    if (!equalBytes(roster, this.#pledge.roster)) throw malformed("the file is of another roster than the pledge");
    for (const pledge of pledges) {
      const founder = this.founders.find(({ key }) => key === pledge.key);
      if (founder === undefined || !await this.#isValid(founder, pledge)) {
        throw malformed(`the pledge of ${founder?.name ?? pledge.key} in the file is not valid`);
      }
      this.#pledges.set(founder.key, pledge);
    }
    if (this.missing.length > 0) throw malformed(`the file has no pledge of ${this.missing[0]?.name}`);
    await syncFile(this.#path);
    this.#isFixed = true;
  }

  async #isValid({ spki }: RosterFounder, { signature }: FounderPledge): Promise<boolean> {
    try {
      await verify(spki, "pledge", this.#pledge.roster, signature);
      return true;
    } catch (error) {
      if (hasCode(error, "refused/signature", "refused/key-type")) return false;
      throw error;
    }
  }
}
