import { buildEstimates, type BuildMachine, partSeconds, roughly, totalSeconds } from "./build_estimates.ts";

/** A part that is being built counts as at most this share of its estimate, however long it takes. */
const mostOfRunning = 0.9;
/** The pace is used only after this share of the work is done; before that it is unreliable. */
const shareWithPace = 0.1;
const fastestPace = 0.3;
const slowestPace = 8;

interface Part {
  readonly what: string;
  readonly seconds: number;
  /**
   * The part's share of the total, in seconds. A part that runs at the same time as others only takes processor time
   * from them.
   */
  readonly weight: number;
  startMs?: number;
  done?: true;
}

/**
 * Tracks which parts are to be built, how far the build is, and how long it still takes. Parts without an estimate
 * count as zero.
 */
export class BuildProgress {
  readonly #parts: ReadonlyMap<string, Part>;
  readonly #machine: BuildMachine;
  readonly #totalSeconds: number;
  readonly #startMs: number;

  /**
   * @param names the parts that are missing
   * @param nowMs milliseconds since 1970, as in all methods below
   */
  constructor(names: readonly string[], machine: BuildMachine, nowMs: number, estimates = buildEstimates) {
    const known = Object.entries(estimates).filter(([name]) => names.includes(name));
    this.#parts = new Map(known.map(([name, estimate]) => {
      const seconds = partSeconds(estimate, machine);
      const weight = estimate.stage === "beside" ? seconds / machine.cores : seconds;
      return [name, { what: estimate.what, seconds, weight }];
    }));
    this.#machine = machine;
    this.#totalSeconds = totalSeconds(known.map(([, estimate]) => estimate), machine);
    this.#startMs = nowMs;
  }

  /** Lists the parts that will be built. Each line ends with a line feed. */
  plan(folder: string): string {
    if (this.#parts.size === 0) return `Assembles parts that are already built, in ${folder}\n`;
    const { cores, slowdown } = this.#machine;
    const speed = slowdown < 1.5 ? "" : `, each ${slowdown.toFixed(1)} times slower now than on the reference machine`;
    const machine = `${cores} ${cores === 1 ? "core" : "cores"}${speed}`;
    const total = `about ${roughly(this.#totalSeconds)} on this machine (${machine})`;
    const width = Math.max(...[...this.#parts.values()].map(({ what }) => what.length));
    const lines = [...this.#parts.values()].map(({ what, seconds }) =>
      `  ${what.padEnd(width)}  ${roughly(seconds)}\n`
    );
    return `Builds the missing parts, once, into ${folder}: ${total}\n${lines.join("")}`;
  }

  /** Records that the build of a part has started. */
  begin(name: string, nowMs: number): void {
    const part = this.#parts.get(name);
    if (part !== undefined) part.startMs ??= nowMs;
  }

  /**
   * Records that a part exists. Returns the line that reports it, ended by a line feed, or nothing if the part existed
   * before.
   */
  end(name: string, nowMs: number): string {
    const part = this.#parts.get(name);
    if (part === undefined || part.done) return "";
    part.done = true;
    const took = part.startMs === undefined ? "" : ` in ${Math.round((nowMs - part.startMs) / 1000)} s`;
    return `${secondsText(nowMs - this.#startMs)} ✓ ${part.what}${took}\n`;
  }

  /** A progress line: how many parts are done, which are being built, and how long the rest takes. */
  line(nowMs: number): string {
    const parts = [...this.#parts.values()];
    const done = parts.filter(({ done }) => done).length;
    const running = parts.filter(({ done, startMs }) => !done && startMs !== undefined).map(({ what }) => what);
    const building = running.length === 0 ? "fetching" : `building ${running.join("; ")}`;
    const left = `about ${roughly(this.secondsLeft(nowMs))} left`;
    return `${secondsText(nowMs - this.#startMs)} … ${done} of ${parts.length} built, ${left}; ${building}`;
  }

  /** How long the build still takes: the estimate of the rest at the pace so far. */
  secondsLeft(nowMs: number): number {
    if (this.#totalSeconds === 0) return 0;
    const parts = [...this.#parts.values()];
    const work = parts.reduce((sum, { weight }) => sum + weight, 0);
    const doneWork = parts.reduce((sum, part) => sum + part.weight * shareDone(part, nowMs), 0);
    const share = doneWork / work;
    const elapsedSeconds = (nowMs - this.#startMs) / 1000;
    const pace = share < shareWithPace ? 1 : elapsedSeconds / (this.#totalSeconds * share);
    return this.#totalSeconds * (1 - share) * Math.min(slowestPace, Math.max(fastestPace, pace));
  }
}

function shareDone({ seconds, startMs, done }: Part, nowMs: number): number {
  if (done) return 1;
  return startMs === undefined ? 0 : Math.min((nowMs - startMs) / 1000 / seconds, mostOfRunning);
}

const secondsWidth = 4;

function secondsText(ms: number): string {
  return `${(ms / 1000).toFixed(0).padStart(secondsWidth)} s`;
}
