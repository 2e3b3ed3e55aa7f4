/**
 * Measures which parts of the program's code ran, from V8's counters of blocks. An input that reaches new code is kept
 * for further mutation.
 *
 * @module
 */
import { Session } from "node:inspector";

interface CoverageRange {
  readonly startOffset: number;
  readonly endOffset: number;
  readonly count: number;
}

interface ScriptCoverage {
  readonly url: string;
  readonly functions: readonly { readonly functionName: string; readonly ranges: readonly CoverageRange[] }[];
}

/** The code that ran since the last call of {@linkcode Coverage.take}. */
export type Covered = readonly ScriptCoverage[];

/** V8's counters. They count only in modules that are loaded after {@linkcode Coverage.start}. */
export class Coverage {
  readonly #session: Session;
  readonly #isOurs: (url: string) => boolean;
  #isCounting = true;
  /** For each function, one byte for each of its characters: whether that character's code ever ran. */
  readonly #seen = new Map<string, Uint8Array>();

  private constructor(session: Session, isOurs: (url: string) => boolean) {
    this.#session = session;
    this.#isOurs = isOurs;
  }

  /**
   * Starts counting.
   *
   * @param isOurs Whether the module with this URL is counted.
   */
  static async start(isOurs: (url: string) => boolean): Promise<Coverage> {
    const session = new Session();
    session.connect();
    const coverage = new Coverage(session, isOurs);
    await coverage.#post("Profiler.enable");
    await coverage.#post("Profiler.startPreciseCoverage", { callCount: true, detailed: true });
    return coverage;
  }

  /** Whether the counters are still on. */
  get isCounting(): boolean {
    return this.#isCounting;
  }

  /** Stops counting. */
  async stop(): Promise<void> {
    this.#isCounting = false;
    await this.#post("Profiler.stopPreciseCoverage");
    this.#session.disconnect();
  }

  /** Returns what ran since the last call, and resets the counters. */
  async take(): Promise<Covered> {
    const { result } = await this.#post("Profiler.takePreciseCoverage") as { readonly result: Covered };
    return result.filter(({ url }) => this.#isOurs(url));
  }

  /** Adds what ran, and returns whether some of it ran for the first time. */
  add(covered: Covered): boolean {
    return this.#compare(covered, true);
  }

  /** Whether some of it would run for the first time. */
  wouldAdd(covered: Covered): boolean {
    return this.#compare(covered, false);
  }

  #compare(covered: Covered, remembers: boolean): boolean {
    let isNew = false;
    for (const { url, functions } of covered) {
      for (const { functionName, ranges } of functions) {
        const [whole, ...parts] = ranges;
        if (whole === undefined || whole.count === 0) continue;
        const ran = new Uint8Array(whole.endOffset - whole.startOffset).fill(1);
        for (const { startOffset, endOffset, count } of parts) {
          ran.fill(count > 0 ? 1 : 0, startOffset - whole.startOffset, endOffset - whole.startOffset);
        }
        isNew = this.#merge(`${url}:${functionName}:${whole.startOffset}`, ran, remembers) || isNew;
      }
    }
    return isNew;
  }

  #merge(key: string, ran: Uint8Array, remembers: boolean): boolean {
    const seen = this.#seen.get(key);
    if (seen === undefined || seen.length !== ran.length) {
      if (remembers) this.#seen.set(key, ran);
      return true;
    }
    const isNew = ran.some((octet, i) => octet === 1 && seen[i] === 0);
    if (isNew && remembers) ran.forEach((octet, i) => seen[i] = (seen[i] ?? 0) | octet);
    return isNew;
  }

  #post(method: string, parameters?: object): Promise<unknown> {
    return new Promise((resolve, reject) => {
      this.#session.post(
        method,
        parameters,
        (error: Error | null, result?: object) => error ? reject(error) : resolve(result),
      );
    });
  }
}
