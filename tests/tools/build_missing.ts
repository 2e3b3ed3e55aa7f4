import { abortable } from "../../platform/abortable.ts";
import { packagesPart } from "./build_estimates.ts";
import { BuildProgress } from "./build_progress.ts";
import { cacheFolder } from "./cache_folder.ts";
import { measureSpeed, slowdownOf } from "./machine_speed.ts";
import { PlanStore } from "./plan_store.ts";
import { BuildStore, type Store } from "./store.ts";

/** The output of {@linkcode buildMissing}, and the signal that stops it. */
export interface BuildMissingOptions {
  /** Writes a text to the output, unchanged. */
  readonly write: (text: string) => void;
  /** The current width of the terminal in characters; undefined when the output is not a terminal. */
  readonly columns: () => number | undefined;
  readonly signal?: AbortSignal;
  /** The cache folder, if it is not the user's own. */
  readonly cache?: string;
}

const redrawMs = 500;
const heartbeatMs = 20_000;

/**
 * Lists the missing parts and how long they take to build, then makes them and shows the progress. On a terminal the
 * progress is one line that is redrawn; otherwise a line is written now and then.
 *
 * @param make requests the parts from a store, and returns their paths. When something is missing it runs twice, the
 * first time with a store that builds nothing
 * @throws what `make` throws, and the signal's reason when it aborts; builds that were started then end with this
 * process.
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
  // The load of the last minute says little about the next quarter of an hour.
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

/** A store that builds, and reports its progress. */
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

/** The progress line, below the output that stays. */
class ProgressLine {
  readonly #output: Pick<BuildMissingOptions, "write" | "columns">;
  readonly #progress: BuildProgress;
  #saidMs = 0;
  #isDrawn = false;

  constructor(output: Pick<BuildMissingOptions, "write" | "columns">, progress: BuildProgress) {
    this.#output = output;
    this.#progress = progress;
  }

  /** Writes lines that stay above the progress line. Each line ends with a line feed. */
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
      // A line that wraps could not be redrawn.
      this.#output.write(`\r\u001b[K${line.slice(0, columns - 1)}`);
      this.#isDrawn = true;
    } else if (nowMs - this.#saidMs >= heartbeatMs) {
      this.#saidMs = nowMs;
      this.#output.write(`${line}\n`);
    }
  }
}
