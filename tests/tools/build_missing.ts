import { abortable } from "../../platform/abortable.ts";
import { packagesPart } from "./build_estimates.ts";
import { BuildProgress } from "./build_progress.ts";
import { cacheFolder } from "./cache_folder.ts";
import { measureSpeed, slowdownOf } from "./machine_speed.ts";
import { PlanStore } from "./plan_store.ts";
import { BuildStore, type Store } from "./store.ts";

/** Where {@linkcode buildMissing} shows what it does, and what stops it. */
export interface BuildMissingOptions {
  /** Writes to the output, as it is. */
  readonly write: (text: string) => void;
  /** The width of the terminal in characters, now; undefined where the output is no terminal. */
  readonly columns: () => number | undefined;
  readonly signal?: AbortSignal;
  /** The cache folder, where it is not the user's own. */
  readonly cache?: string;
}

const redrawMs = 500;
const heartbeatMs = 20_000;

/**
 * Makes parts, after having said which of them are missing and how long they take; then shows how far they are: on a terminal
 * in one line that is drawn again, otherwise by a line now and then.
 *
 * @param make asks a store for the parts, and gives what it has of them. It runs twice where something is missing: once
 * with a store that builds nothing
 * @throws what `make` throws, and the signal's reason; what was begun ends with this process then.
 */
export async function buildMissing<T>(make: (store: Store) => Promise<T>, options: BuildMissingOptions): Promise<T> {
  const { cache = cacheFolder() } = options;
  const plan = new PlanStore(cache);
  const planned = await make(plan);
  if (plan.missing.length === 0) {
    options.write(`Everything is built already, in ${cache}\n`);
    return planned;
  }
  const speed = await measureSpeed();
  // The load of the last minute says little of the quarter of an hour to come.
  const machine = { cores: speed.cores, slowdown: slowdownOf({ ...speed, load: 0 }) };
  options.signal?.throwIfAborted();
  const progress = new BuildProgress(plan.missing, machine, Date.now());
  options.write(progress.plan(cache));
  const line = new ProgressLine(options, progress);
  const timer = setInterval(() => line.tick(), redrawMs);
  try {
    const made = make(watchedStore(progress, line, cache));
    return await (options.signal === undefined ? made : abortable(made, options.signal));
  } finally {
    clearInterval(timer);
    line.say("");
  }
}

/** The store that builds, and tells of it. */
function watchedStore(progress: BuildProgress, line: ProgressLine, cache: string): Store {
  const begin = (name: string) => {
    progress.begin(name, Date.now());
    line.tick();
  };
  const end = (name: string) => line.say(progress.end(name, Date.now()));
  const store = new BuildStore(async (name, work) => {
    begin(name);
    return await work();
  }, cache);
  return {
    digest: (path) => store.digest(path),
    async cached(name, recipe, build) {
      const folder = await store.cached(name, recipe, build);
      end(name);
      return folder;
    },
    async packages(names) {
      await store.packages(names);
      end(packagesPart);
    },
  };
}

/** The line about the present, below what was said for good. */
class ProgressLine {
  readonly #output: Pick<BuildMissingOptions, "write" | "columns">;
  readonly #progress: BuildProgress;
  #saidMs = 0;
  #isDrawn = false;

  constructor(output: Pick<BuildMissingOptions, "write" | "columns">, progress: BuildProgress) {
    this.#output = output;
    this.#progress = progress;
  }

  /** Says something for good: lines, each ended by a line feed. */
  say(text: string): void {
    if (this.#isDrawn) this.#output.write("\r\u001b[K");
    this.#isDrawn = false;
    this.#output.write(text);
  }

  tick(): void {
    const nowMs = Date.now();
    const columns = this.#output.columns();
    const line = this.#progress.line(nowMs);
    if (columns !== undefined) {
      // A line that wraps could not be drawn again.
      this.#output.write(`\r\u001b[K${line.slice(0, columns - 1)}`);
      this.#isDrawn = true;
    } else if (nowMs - this.#saidMs >= heartbeatMs) {
      this.#saidMs = nowMs;
      this.#output.write(`${line}\n`);
    }
  }
}
