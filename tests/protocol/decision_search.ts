/**
 * The decision of a fixed roster, searched state by state: three founders and their etcd, takeovers at any time (no
 * clock), crashes anywhere, one lost disk.
 *
 * @module
 */
import { explore, type Found, Packing, type Space, type Step, stuckStates } from "./explore.ts";

/** A founder. */
interface Founder {
  readonly up: boolean;
  /** 0: none; an epoch: its own lock of that epoch; below 0: it joined the cluster of that epoch. */
  readonly lock: number;
  /** The epoch of the keys that it has in memory; 0: none. */
  readonly memory: number;
  /** How far it is between the decision and the complete transaction. */
  readonly progress: number;
  /** Its journal has `complete`. */
  readonly journal: boolean;
  /** Its join service runs. */
  readonly serves: boolean;
  /** Its disk is lost. */
  readonly lost: boolean;
  /** `kubeadm init` failed for good. */
  readonly failed: boolean;
}

/** All founders, and what their etcd has. */
interface State {
  readonly founders: readonly Founder[];
  /** Of the decision; 0: there is none. */
  readonly epoch: number;
  /** Who was decided on; -1: there is no decision. */
  readonly owner: number;
  /** The epochs that were resigned from: bit E - 1 stands for the epoch E. */
  readonly resigned: number;
  /** The epoch that is complete; 0: none. */
  readonly complete: number;
  /** Who has the key `leader`; -1: it is not there. */
  readonly leader: number;
}

/** How a founder decides on what it does. */
export interface DecisionOptions {
  /** Later epochs are not looked at. */
  readonly maximumEpoch: 1 | 2 | 3;
  /** Ablation: the join service starts after a read, and before the complete transaction. */
  readonly servesAfterRead?: boolean;
}

/** What the search says. */
export interface DecisionResult extends Found {
  /**
   * The states from which no founder comes to serve, though nothing crashes, fails or is lost from then on, by the
   * reason.
   */
  readonly stuck: Readonly<Record<string, number>>;
}

const FOUNDERS = 3;
const MAJORITY = 2;
const EPOCHS = 3;
const NOT_DECIDED = -1;
const NONE = -1;

const FRESH: Founder = Object.freeze({
  up: true,
  lock: 0,
  memory: 0,
  progress: 0,
  journal: false,
  serves: false,
  lost: false,
  failed: false,
});

const START: State = Object.freeze({
  founders: [FRESH, FRESH, FRESH],
  epoch: 0,
  owner: NOT_DECIDED,
  resigned: 0,
  complete: 0,
  leader: NONE,
});

/** Searches the whole space. */
export function searchDecision(options: DecisionOptions): DecisionResult {
  const space: Space<State> = {
    start: START,
    encode,
    decode,
    steps: (state) => stepsOf(state, options),
    wrong: (state) => wrongWith(state, options),
  };
  const { graph, ...found } = explore(space);
  if (found.counterexample !== undefined) return { ...found, stuck: {} };
  const stuckIndices = stuckStates(
    graph,
    (code) => decode(code).founders.some(({ serves }) => serves),
    (name) => !["crash", "lose", "fail"].includes(name),
  );
  const stuck: Record<string, number> = {};
  for (const index of stuckIndices) {
    const reason = reasonOf(decode(graph.codes[index] ?? 0), options);
    stuck[reason] = (stuck[reason] ?? 0) + 1;
  }
  return { ...found, stuck };
}

function stepsOf(state: State, options: DecisionOptions): Step<State>[] {
  return state.founders.flatMap((founder, index) => {
    if (founder.lost) return [];
    if (!founder.up) return [["start", change(state, index, { up: true })]];
    return [
      ...accidents(state, index),
      ...steersOf(state, index, options),
      ...foundsOf(state, index),
      ...(options.servesAfterRead ? servesAfterRead(state, index) : servesAfterComplete(state, index)),
      ...endsOf(state, index),
    ];
  });
}

/** A process, a disk or a lease ends. */
function accidents(state: State, index: number): Step<State>[] {
  const leader = state.leader === index ? NONE : state.leader;
  const ended = { up: false, memory: 0, progress: 0 };
  const steps: Step<State>[] = [["crash", { ...change(state, index, ended), leader }]];
  if (!state.founders.some(({ lost }) => lost)) {
    steps.push(["lose", { ...change(state, index, { ...ended, lost: true, serves: false }), leader }]);
  }
  if (state.leader === index) steps.push(["lease", { ...state, leader: NONE }]);
  return steps;
}

/** The decide transaction: the leader, which has no lock, takes the decision, or takes it over. */
function steersOf(state: State, index: number, { maximumEpoch }: DecisionOptions): Step<State>[] {
  const { epoch, owner, leader, complete } = state;
  if (!hasMajority(state) || complete !== 0 || founderOf(state, index).lock !== 0) return [];
  if (leader === NONE) return [["campaign", { ...state, leader: index }]];
  const mayDecide = epoch === 0 || isResigned(state) || owner !== index;
  if (leader !== index || epoch >= maximumEpoch || !mayDecide) return [];
  const decided = change(state, index, { memory: epoch + 1, progress: 0 });
  return [["decide", { ...decided, epoch: epoch + 1, owner: index }]];
}

/** A founder that was decided on reads, locks, reads again and founds. */
function foundsOf(state: State, index: number): Step<State>[] {
  const { lock, memory, progress } = founderOf(state, index);
  const isOwn = (epoch: number) => hasMajority(state) && isDecidedOn(state, index, epoch) && !isResigned(state);
  const steps: Step<State>[] = [];
  if (memory !== 0 && lock === 0 && progress === 0 && isOwn(memory)) {
    steps.push(["read before the lock", change(state, index, { progress: 1 })]);
  }
  if (memory !== 0 && lock === 0 && progress === 1) {
    steps.push(["lock", change(state, index, { lock: memory, progress: 2 })]);
  }
  if (lock > 0 && (progress === 0 || progress === 2) && isOwn(lock)) {
    steps.push(["read after the lock", change(state, index, { progress: 3 })]);
  }
  if (lock > 0 && progress === 3) steps.push(["init", change(state, index, { progress: 4 })]);
  return steps;
}

/** The complete transaction, then the journal, then the join service. */
function servesAfterComplete(state: State, index: number): Step<State>[] {
  const { lock, progress, journal, serves } = founderOf(state, index);
  if (lock <= 0) return [];
  const steps: Step<State>[] = [];
  const mayComplete = hasMajority(state) && isDecidedOn(state, index, lock) && !isResigned(state) &&
    state.complete === 0;
  if (progress === 4 && mayComplete) {
    steps.push(["complete", { ...change(state, index, { progress: 5 }), complete: lock }]);
  }
  if (hasMajority(state) && state.complete === lock && !journal) {
    steps.push(["journal", change(state, index, { journal: true })]);
  }
  if (journal && !serves) steps.push(["serve", change(state, index, { serves: true })]);
  return steps;
}

/** The ablation: a read, then the join service, then the complete transaction. */
function servesAfterRead(state: State, index: number): Step<State>[] {
  const { lock, progress } = founderOf(state, index);
  if (lock <= 0) return [];
  const isOwn = hasMajority(state) && isDecidedOn(state, index, lock);
  if (progress === 4 && isOwn) return [["read before the service", change(state, index, { progress: 5 })]];
  if (progress === 5) return [["serve", change(state, index, { serves: true, progress: 6 })]];
  if (progress === 6 && isOwn && state.complete === 0) {
    return [["complete", { ...change(state, index, { progress: 7 }), complete: lock }]];
  }
  return [];
}

/** A founder resigns, fails, or joins the cluster of another. */
function endsOf(state: State, index: number): Step<State>[] {
  const { lock, memory, journal, failed } = founderOf(state, index);
  const { epoch, owner, complete, founders } = state;
  const steps: Step<State>[] = [];
  const hasReason = (memory === 0 && lock === 0) || (lock === epoch && failed);
  if (hasMajority(state) && owner === index && !isResigned(state) && complete === 0 && hasReason) {
    const resigned = state.resigned | bitOf(epoch);
    steps.push(["resign", { ...change(state, index, { memory: 0 }), resigned }]);
  }
  if (lock > 0 && !failed && !journal && complete !== lock) {
    steps.push(["fail", change(state, index, { failed: true })]);
  }
  if (hasMajority(state) && complete !== 0 && lock === 0 && founders.some(({ serves }) => serves)) {
    steps.push(["join", change(state, index, { lock: -complete, serves: true })]);
  }
  return steps;
}

function wrongWith({ founders, complete }: State, { servesAfterRead }: DecisionOptions): string | undefined {
  const served = new Set(founders.filter(({ serves }) => serves).map(({ lock }) => Math.abs(lock)));
  if (served.size > 1) return "two clusters serve";
  if (served.size === 0) return undefined;
  if (complete === 0) return servesAfterRead ? undefined : "a cluster serves before it is complete";
  return served.has(complete) ? undefined : "a cluster serves that is not complete";
}

function reasonOf({ epoch, complete, founders }: State, { maximumEpoch }: DecisionOptions): string {
  if (epoch >= maximumEpoch) return "no more epochs in this search";
  if (complete !== 0) return "the only member was lost after complete";
  return founders.every(({ lost, lock }) => lost || lock !== 0) ? "all that are left are locked" : "no reason";
}

function founderOf({ founders }: State, index: number): Founder {
  return founders[index] ?? FRESH;
}

function change(state: State, index: number, changes: Partial<Founder>): State {
  return { ...state, founders: state.founders.with(index, { ...founderOf(state, index), ...changes }) };
}

/** Whether etcd can answer. */
function hasMajority({ founders }: State): boolean {
  return founders.filter(({ up, lost }) => up && !lost).length >= MAJORITY;
}

function isDecidedOn({ owner, epoch }: State, index: number, ofEpoch: number): boolean {
  return owner === index && epoch === ofEpoch;
}

/** Whether the founder of the decision resigned. */
function isResigned({ epoch, resigned }: State): boolean {
  return (resigned & bitOf(epoch)) !== 0;
}

function bitOf(epoch: number): number {
  return 1 << (epoch - 1);
}

const FOUNDER_SIZES = [2, 2 * EPOCHS + 1, EPOCHS + 1, 8, 2, 2, 2, 2];
const PACKING = new Packing([
  ...Array.from({ length: FOUNDERS }, () => FOUNDER_SIZES).flat(),
  EPOCHS + 1,
  FOUNDERS + 1,
  2 ** EPOCHS,
  EPOCHS + 1,
  FOUNDERS + 1,
]);

function encode({ founders, epoch, owner, resigned, complete, leader }: State): number {
  const values: number[] = [];
  for (const { up, lock, memory, progress, journal, serves, lost, failed } of founders) {
    values.push(Number(up), lock + EPOCHS, memory, progress);
    values.push(Number(journal), Number(serves), Number(lost), Number(failed));
  }
  values.push(epoch, owner + 1, resigned, complete, leader + 1);
  return PACKING.pack(values);
}

function decode(code: number): State {
  const values = PACKING.unpack(code);
  let place = 0;
  const next = () => values[place++] ?? 0;
  const isNext = () => next() === 1;
  const founders = Array.from({ length: FOUNDERS }, (): Founder => ({
    up: isNext(),
    lock: next() - EPOCHS,
    memory: next(),
    progress: next(),
    journal: isNext(),
    serves: isNext(),
    lost: isNext(),
    failed: isNext(),
  }));
  return { founders, epoch: next(), owner: next() - 1, resigned: next(), complete: next(), leader: next() - 1 };
}
