/**
 * Exhaustive searches of small state spaces: every state that can be reached, in the order of its distance.
 *
 * @module
 */

/** A state space. */
export interface Space<S> {
  readonly start: S;
  /** A number that no other state has. */
  encode(state: S): number;
  /** The inverse of `encode`. */
  decode(code: number): S;
  /** What can happen in a state, by name, and the state after it. */
  steps(state: S): readonly Step<S>[];
  /** What is wrong with a state; `undefined` if nothing is. */
  wrong(state: S): string | undefined;
}

/** Something that can happen, by its name, and the state after it. */
export type Step<S> = readonly [name: string, after: S];

/** What a search found. */
export interface Found {
  /** How many states there are; until the counterexample where there is one. */
  readonly states: number;
  /** The state that is the fewest steps away of those that have something wrong. */
  readonly counterexample?: Counterexample;
}

/** How something goes wrong. */
export interface Counterexample {
  readonly wrong: string;
  /** The names of the steps from the start. */
  readonly steps: readonly string[];
}

/** The states that were found, and all steps between them. */
export interface Graph {
  /** The states, in the order of their distance. */
  readonly codes: readonly number[];
  /** The indices of the states at both ends of each step, and its name. */
  readonly from: readonly number[];
  readonly to: readonly number[];
  readonly names: readonly string[];
}

/** Visits every state that can be reached, until one has something wrong. */
export function explore<S>(space: Space<S>): Found & { readonly graph: Graph } {
  const codes = [space.encode(space.start)];
  const indices = new Map(codes.entries().map(([index, code]) => [code, index]));
  const [from, to, names]: [number[], number[], string[]] = [[], [], []];
  for (let index = 0; index < codes.length; index++) {
    const state = space.decode(codes[index] ?? 0);
    const what = space.wrong(state);
    if (what !== undefined) {
      const graph = { codes, from, to, names };
      return { states: codes.length, counterexample: { wrong: what, steps: pathTo(index, graph) }, graph };
    }
    for (const [name, after] of space.steps(state)) {
      const code = space.encode(after);
      let next = indices.get(code);
      if (next === undefined) {
        next = codes.length;
        indices.set(code, next);
        codes.push(code);
      }
      from.push(index);
      to.push(next);
      names.push(name);
    }
  }
  return { states: codes.length, graph: { codes, from, to, names } };
}

/** The indices of the states from which no good one can be reached by the steps that are allowed. */
export function stuckStates(
  { codes, from, to, names }: Graph,
  isGood: (code: number) => boolean,
  isAllowed: (name: string) => boolean,
): number[] {
  const before = new Map<number, number[]>();
  for (const [step, end] of to.entries()) {
    if (!isAllowed(names[step] ?? "")) continue;
    const starts = before.get(end);
    if (starts === undefined) before.set(end, [from[step] ?? 0]);
    else starts.push(from[step] ?? 0);
  }
  const waiting = codes.flatMap((code, index) => isGood(code) ? [index] : []);
  const reach = new Set(waiting);
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    for (const index of before.get(next) ?? []) {
      if (reach.has(index)) continue;
      reach.add(index);
      waiting.push(index);
    }
  }
  return [...codes.keys()].filter((index) => !reach.has(index));
}

/** The names of the steps by which a state was found first. */
function pathTo(index: number, { from, to, names }: Graph): string[] {
  const path: string[] = [];
  for (let at = index; at !== 0;) {
    const step = to.indexOf(at);
    path.push(names[step] ?? "");
    at = from[step] ?? 0;
  }
  return path.reverse();
}

/** Packs small numbers into one. */
export class Packing {
  readonly #sizes: readonly number[];

  /** @param sizes How many values each number has; their product is at most 2⁵³. */
  constructor(sizes: readonly number[]) {
    if (sizes.reduce((product, size) => product * size, 1) > Number.MAX_SAFE_INTEGER) {
      throw new Error("Cannot pack so many values into one number");
    }
    this.#sizes = sizes;
  }

  /** @throws Error if a number is not one of its values. */
  pack(values: readonly number[]): number {
    let code = 0;
    for (let index = 0; index < this.#sizes.length; index++) {
      const [size, value] = [this.#sizes[index] ?? 0, values[index] ?? -1];
      if (!(value >= 0 && value < size)) throw new Error(`Cannot pack value ${index}: ${value} is not below ${size}`);
      code = code * size + value;
    }
    return code;
  }

  unpack(code: number): number[] {
    const values = new Array<number>(this.#sizes.length).fill(0);
    let rest = code;
    for (let index = this.#sizes.length - 1; index >= 0; index--) {
      const size = this.#sizes[index] ?? 1;
      values[index] = rest % size;
      rest = Math.floor(rest / size);
    }
    return values;
  }
}
