import type { ObjectApi } from "../kubernetes/admission_records.ts";
import type { CutEntry } from "../kubernetes/cut_entries.ts";
import type { StoredAdmission } from "../kubernetes/node_admissions.ts";
import { NodeAdmissions } from "../kubernetes/node_admissions.ts";
import { MINUTE_MS } from "../platform/duration.ts";
import { BootstrapError } from "../platform/errors.ts";

/** Up to so many banned identities are looked up one by one; for more, all records are listed. */
const MOST_LOOK_UPS = 100;
/**
 * For so long after a change of the bans, their admissions are looked up often: another join service may not have seen
 * the change yet, and admit one.
 */
const SETTLE_MS = MINUTE_MS;
const SETTLING_LOOK_MS = 5_000;

interface Looked {
  readonly identities: ReadonlySet<string>;
  /** Since when these are the bans. */
  readonly sinceMs: number;
  readonly atMs: number;
  readonly cuts: readonly CutEntry[];
}

/** The admissions of banned identities, which are to be cut off. */
export class BannedCuts {
  readonly #admissions: NodeAdmissions;
  #looked: Looked | undefined;

  /** Knows nothing yet. */
  constructor(api: ObjectApi) {
    this.#admissions = new NodeAdmissions(api);
  }

  /**
   * Returns them, looked up again when the bans change, for a while after that, and when it is demanded.
   *
   * @param nowMs A steady clock, milliseconds.
   * @param unreadable Gets an error for each record that cannot be read. It keeps no other from being found, and what was
   *   known of it stays.
   */
  async find(
    identities: ReadonlySet<string>,
    { nowMs, isDemanded, unreadable }: {
      readonly nowMs: number;
      readonly isDemanded: boolean;
      readonly unreadable: BootstrapError[];
    },
  ): Promise<readonly CutEntry[]> {
    const before = this.#looked;
    const isSameSet = before !== undefined && isSame(before.identities, identities);
    const isSettled = isSameSet && (nowMs >= before.sinceMs + SETTLE_MS || nowMs < before.atMs + SETTLING_LOOK_MS);
    if (isSettled && !isDemanded) return before.cuts;
    const find = async (identity: string): Promise<readonly CutEntry[]> => {
      try {
        const admission = await this.#admissions.find(identity);
        return admission === undefined ? [] : cutsOf(admission);
      } catch (error) {
        noteMalformed(error, unreadable);
        return before?.cuts.filter((cut) => cut.identity === identity) ?? [];
      }
    };
    const cuts = identities.size > MOST_LOOK_UPS
      ? await this.#amongAll(identities).catch(async (error) => {
        noteMalformed(error, unreadable);
        // One record that cannot be read hides no other. So many are looked up in turn, not at once.
        const found: CutEntry[] = [];
        for (const identity of identities) found.push(...await find(identity));
        return found;
      })
      : (await Promise.all([...identities].map(find))).flat();
    const sinceMs = isSameSet ? before.sinceMs : nowMs;
    this.#looked = { identities: new Set(identities), sinceMs, atMs: nowMs, cuts };
    return cuts;
  }

  async #amongAll(identities: ReadonlySet<string>): Promise<readonly CutEntry[]> {
    return (await this.#admissions.list()).filter(({ name }) => identities.has(name)).flatMap(cutsOf);
  }
}

/** Notes that an object cannot be read. Other errors are thrown. */
export function noteMalformed(error: unknown, unreadable: BootstrapError[]): undefined {
  if (!(error instanceof BootstrapError) || !error.code.startsWith("malformed/")) throw error;
  unreadable.push(error);
}

/** An epoch that is not on record may be any: such an admission is listed until its certificates have ended. */
function cutsOf({ uid, record, status: { epoch = Infinity, untilMs } }: StoredAdmission): CutEntry[] {
  const { identity, nodeName } = record;
  return untilMs === undefined ? [] : [{ uid, identity, nodeName, epoch, untilMs }];
}

function isSame(before: ReadonlySet<string>, after: ReadonlySet<string>): boolean {
  return before.size === after.size && [...after].every((one) => before.has(one));
}
