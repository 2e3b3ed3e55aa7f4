/**
 * Which rosters founders fix, searched state by state: honest founders, and a machine whose TPM was cloned, so that one
 * identity has two keys. Reports arrive in any order, late or never.
 *
 * @module
 */
import { explore, type Found, Packing, type Space, type Step } from "./explore.ts";

/** Who founds, and how. */
export interface RosterOptions {
  /** The founders beside the cloned one. */
  readonly honest: 1 | 2;
  /** Ablation: a roster is fixed on equal reports of all, without pledges. */
  readonly fixesOnReports?: boolean;
}

/** What the search says. */
export interface RosterResult extends Found {
  /** The states in which different rosters are fixed, by however few founders. */
  readonly differing: number;
  /** The states in which one roster is fixed by all of it. */
  readonly fixedByAll: number;
}

/** No roster. */
const NONE = 0;
/** Rosters: the honest founders, and the first or the second clone. */
const ROSTERS = [1, 2];

/**
 * A list of rosters or {@linkcode NONE}: what each honest founder has verified last, what has last been heard by each
 * pair, what each founder has fixed, what each has pledged.
 */
type State = readonly number[];

/** Searches the whole space. */
export function searchRoster(options: RosterOptions): RosterResult {
  const world = new World(options);
  const { graph, ...found } = explore(world);
  let [differing, fixedByAll] = [0, 0];
  for (const code of graph.codes) {
    const state = world.decode(code);
    const counts = ROSTERS.map((roster) => world.countFixed(state, roster));
    if (counts.every((count) => count > 0)) differing++;
    if (counts.includes(world.size)) fixedByAll++;
  }
  return { ...found, differing, fixedByAll };
}

class World implements Space<State> {
  readonly start: State;
  /** How many founders a roster has. */
  readonly size: number;
  readonly #honest: number;
  readonly #isAblated: boolean;
  /** Founders are numbers: the honest ones, then the clones. */
  readonly #founders: readonly number[];
  readonly #names: readonly string[];
  /** Who hears whom: clones never meet. */
  readonly #pairs: readonly { readonly hearer: number; readonly speaker: number }[];
  readonly #packing: Packing;

  constructor({ honest, fixesOnReports = false }: RosterOptions) {
    this.size = honest + 1;
    this.#honest = honest;
    this.#isAblated = fixesOnReports;
    this.#names = [...["A", "B"].slice(0, honest), "C1", "C2"];
    this.#founders = [...this.#names.keys()];
    this.#pairs = this.#founders.flatMap((hearer) =>
      this.#founders.filter((speaker) => hearer !== speaker && Math.min(hearer, speaker) < honest)
        .map((speaker) => ({ hearer, speaker }))
    );
    this.start = new Array<number>(honest + this.#pairs.length + 2 * this.#founders.length).fill(NONE);
    this.#packing = new Packing(this.start.map(() => ROSTERS.length + 1));
  }

  encode(state: State): number {
    return this.#packing.pack(state);
  }

  decode(code: number): State {
    return this.#packing.unpack(code);
  }

  wrong(state: State): string | undefined {
    const isTwice = ROSTERS.every((roster) => this.countFixed(state, roster) > this.size / 2);
    return isTwice ? "two rosters are each fixed by a majority" : undefined;
  }

  steps(state: State): Step<State>[] {
    const steps: Step<State>[] = [];
    for (let founder = 0; founder < this.#honest; founder++) steps.push(...this.#verifications(state, founder));
    for (const founder of this.#founders) {
      steps.push(...this.#reports(state, founder));
      steps.push(...(this.#isAblated ? this.#fixesOnReports(state, founder) : this.#fixesOnPledges(state, founder)));
    }
    return steps;
  }

  /** How many founders have fixed a roster. */
  countFixed(state: State, roster: number): number {
    let count = 0;
    for (const founder of this.#founders) if (state[this.#fixedAt(founder)] === roster) count++;
    return count;
  }

  /** Until its pledge, a founder replaces an absent machine's key by another of the same identity. */
  #verifications(state: State, founder: number): Step<State>[] {
    if (state[this.#fixedAt(founder)] !== NONE || state[this.#pledgedAt(founder)] !== NONE) return [];
    return ROSTERS.filter((roster) => state[founder] !== roster).map((roster) => [
      `${this.#names[founder]} verifies C${roster}`,
      state.with(founder, roster),
    ]);
  }

  #reports(state: State, founder: number): Step<State>[] {
    const steps: Step<State>[] = [];
    for (let pair = 0; pair < this.#pairs.length; pair++) {
      const { hearer, speaker } = this.#pairs[pair] ?? {};
      if (hearer !== founder || speaker === undefined) continue;
      const said = state[this.#fixedAt(speaker)] || state[this.#pledgedAt(speaker)] || this.#viewOf(state, speaker);
      if (said === NONE || state[this.#honest + pair] === said) continue;
      const name = `${this.#names[founder]} hears ${this.#names[speaker]}: C${said}`;
      steps.push([name, state.with(this.#honest + pair, said)]);
    }
    return steps;
  }

  /** A founder pledges once, when all reports are equal; it fixes what all have pledged. */
  #fixesOnPledges(state: State, founder: number): Step<State>[] {
    const pledged = state[this.#pledgedAt(founder)] ?? NONE;
    const roster = pledged || this.#viewOf(state, founder);
    if (roster === NONE) return [];
    if (pledged === NONE) {
      const isAgreed = this.#othersOf(roster, founder).every((other) => this.#hasHeard(state, founder, other, roster));
      const name = `${this.#names[founder]} pledges C${roster}`;
      return isAgreed ? [[name, state.with(this.#pledgedAt(founder), roster)]] : [];
    }
    const isPledged = this.#othersOf(roster, founder).every((other) => state[this.#pledgedAt(other)] === roster);
    return isPledged ? this.#fix(state, founder, roster) : [];
  }

  /** The ablation: equal reports are enough, or the report of a founder that has fixed its roster. */
  #fixesOnReports(state: State, founder: number): Step<State>[] {
    const roster = this.#viewOf(state, founder);
    if (roster === NONE) return [];
    const others = this.#othersOf(roster, founder);
    const isFixed = others.every((other) => this.#hasHeard(state, founder, other, roster)) ||
      others.some((other) => state[this.#fixedAt(other)] === roster && this.#hasHeard(state, founder, other, roster));
    return isFixed ? this.#fix(state, founder, roster) : [];
  }

  #fix(state: State, founder: number, roster: number): Step<State>[] {
    if (state[this.#fixedAt(founder)] !== NONE) return [];
    return [[`${this.#names[founder]} fixes C${roster}`, state.with(this.#fixedAt(founder), roster)]];
  }

  /** The roster that a founder sees; a clone sees itself. */
  #viewOf(state: State, founder: number): number {
    return founder < this.#honest ? state[founder] ?? NONE : founder - this.#honest + 1;
  }

  /** The other founders of a roster. */
  #othersOf(roster: number, founder: number): number[] {
    const clone = this.#honest + roster - 1;
    return this.#founders.filter((other) => other !== founder && (other < this.#honest || other === clone));
  }

  #hasHeard(state: State, founder: number, other: number, roster: number): boolean {
    const pair = this.#pairs.findIndex(({ hearer, speaker }) => hearer === founder && speaker === other);
    return state[this.#honest + pair] === roster;
  }

  #fixedAt(founder: number): number {
    return this.#honest + this.#pairs.length + founder;
  }

  #pledgedAt(founder: number): number {
    return this.#fixedAt(founder) + this.#founders.length;
  }
}
