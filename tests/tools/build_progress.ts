import { buildEstimates, type BuildMachine, partSeconds, roughly, totalSeconds } from "./build_estimates.ts";

/** A part that is being built counts as this much of its estimate at most, however long it takes. */
const mostOfRunning = 0.9;
/** Before this share of the work is done, the pace says little. */
const shareWithPace = 0.1;
const fastestPace = 0.3;
const slowestPace = 8;

interface Part {
  readonly what: string;
  readonly seconds: number;
  /** What it adds to the whole, in seconds: what runs beside others takes processor time from them alone. */
  readonly weight: number;
  startMs?: number;
  done?: true;
}

/** What is to be built, how far that is, and how long it still takes. Parts without an estimate take no time. */
export class BuildProgress {
  readonly #parts: ReadonlyMap<string, Part>;
  readonly #machine: BuildMachine;
  readonly #totalSeconds: number;
  readonly #startMs: number;

  /**
   * @param names the parts that are missing
   * @param nowMs milliseconds since 1970, as everywhere below
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

  /** What is going to be built: lines, each ended by a line feed. */
  plan(folder: string): string {
    if (this.#parts.size === 0) return `Puts together what is built already, in ${folder}\n`;
    const { cores, slowdown } = this.#machine;
    const speed = slowdown < 1.5 ? "" : `, each ${slowdown.toFixed(1)} times slower now than the one that was measured`;
    const machine = `${cores} ${cores === 1 ? "core" : "cores"}${speed}`;
    const total = `about ${roughly(this.#totalSeconds)} on this machine (${machine})`;
    const width = Math.max(...[...this.#parts.values()].map(({ what }) => what.length));
    const lines = [...this.#parts.values()].map(({ what, seconds }) =>
      `  ${what.padEnd(width)}  ${roughly(seconds)}\n`
    );
    return `Builds what is missing, once, into ${folder}: ${total}\n${lines.join("")}`;
  }

  /** A part is being built from now on. */
  begin(name: string, nowMs: number): void {
    const part = this.#parts.get(name);
    if (part !== undefined) part.startMs ??= nowMs;
  }

  /** A part is there. Gives the line that says so, ended by a line feed; nothing for one that was there before. */
  end(name: string, nowMs: number): string {
    const part = this.#parts.get(name);
    if (part === undefined || part.done) return "";
    part.done = true;
    const took = part.startMs === undefined ? "" : ` in ${Math.round((nowMs - part.startMs) / 1000)} s`;
    return `${secondsText(nowMs - this.#startMs)} ✓ ${part.what}${took}\n`;
  }

  /** One line about the present: how many parts are done, what is being built, and how long it takes. */
  line(nowMs: number): string {
    const parts = [...this.#parts.values()];
    const done = parts.filter(({ done }) => done).length;
    const running = parts.filter(({ done, startMs }) => !done && startMs !== undefined).map(({ what }) => what);
    const building = running.length === 0 ? "fetching" : `building ${running.join("; ")}`;
    const left = `about ${roughly(this.secondsLeft(nowMs))} left`;
    return `${secondsText(nowMs - this.#startMs)} … ${done} of ${parts.length} built, ${left}; ${building}`;
  }

  /** How long it still takes: the estimate for what is left, at the pace so far. */
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
