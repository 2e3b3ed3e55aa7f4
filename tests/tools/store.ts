import { packagesPart } from "./build_estimates.ts";
import { cacheFolder } from "./cache_folder.ts";
import { type Build, cached, type Recipe } from "./cached.ts";
import { debianPackages } from "./debian_packages.ts";
import { digestOfFile } from "./digest.ts";
import { step } from "./step.ts";
import { Turns } from "./turns.ts";

/** The kind of turn that work waits for: how many cores it keeps busy. */
export type Turn = "all-cores" | "one-core";

/** What a {@linkcode Store} passes to a build. */
export interface StoreBuild extends Build {
  /**
   * Runs work that computes when its turn comes. Work that waits for the network runs outside a turn, so that it
   * overlaps with the computing of other builds.
   */
  readonly turn: <T>(kind: Turn, work: () => Promise<T>) => Promise<T>;
}

/**
 * The source of the parts that the tests and the demo need. Functions that make parts receive a store, so the same code
 * either builds the missing parts or only lists them.
 */
export interface Store {
  /** The folder of a part, by the part's name and recipe; see `cached`. */
  cached(name: string, recipe: Recipe, build: (to: StoreBuild) => Promise<void>): Promise<string>;
  /** Ensures that these Debian packages are installed. */
  packages(names: readonly string[]): Promise<void>;
  /** The SHA-256 of a file, which may belong to a part. */
  digest(path: string): Promise<string>;
}

/** Wraps the computing work of one part, when its turn has come. It is called for missing parts only. */
export type AroundTurn = <T>(name: string, work: () => Promise<T>) => Promise<T>;

/**
 * With more cores than this the Go compiler leaves some idle: where the graph of packages is narrow, and at the end,
 * when it links.
 */
const coresOfOneGoBuild = 4;

/** A store that builds the missing parts. */
export class BuildStore implements Store {
  readonly #around: AroundTurn;
  readonly #cache: string;
  readonly #turns: Readonly<Record<Turn, Turns>>;

  /**
   * @param around reports the work; by default a line now and then on standard error
   * @param cache the cache folder
   * @param cores the number of cores of this machine
   */
  constructor(
    around: AroundTurn = (name, work) => step(`build ${name}`, work),
    cache: string = cacheFolder(),
    cores: number = navigator.hardwareConcurrency,
  ) {
    this.#around = around;
    this.#cache = cache;
    // A Go build keeps a few cores fully busy. Two builds at once would compile shared packages twice, beginning with
    // the standard library, as neither finds them in Go's cache yet. Work on one core runs at the same time, and mostly
    // waits for disks.
    this.#turns = {
      "all-cores": new Turns(Math.max(1, Math.floor(cores / coresOfOneGoBuild))),
      "one-core": new Turns(Math.max(1, cores - 1)),
    };
  }

  cached(name: string, recipe: Recipe, build: (to: StoreBuild) => Promise<void>): Promise<string> {
    const turn: StoreBuild["turn"] = (kind, work) => this.#turns[kind].take(() => this.#around(name, work));
    return cached(name, recipe, (to) => build({ ...to, turn }), this.#cache);
  }

  packages(names: readonly string[]): Promise<void> {
    return debianPackages(names, (work) => this.#around(packagesPart, work));
  }

  digest(path: string): Promise<string> {
    return digestOfFile(path);
  }
}
