import { packagesPart } from "./build_estimates.ts";
import { cacheFolder } from "./cache_folder.ts";
import { type Build, cached, type Recipe } from "./cached.ts";
import { debianPackages } from "./debian_packages.ts";
import { digestOfFile } from "./digest.ts";
import { step } from "./step.ts";
import { Turns } from "./turns.ts";

/** Which turn a work waits for: how many cores it keeps busy. */
export type Turn = "all-cores" | "one-core";

/** What a {@linkcode Store} hands to a build. */
export interface StoreBuild extends Build {
  /** Runs what computes. What waits for the network runs outside, so that it overlaps with the computing of others. */
  readonly turn: <T>(kind: Turn, work: () => Promise<T>) => Promise<T>;
}

/**
 * Where the parts that tests and demo need come from. Functions that make parts take a store, so that the same code builds
 * what is missing, or only tells what that is.
 */
export interface Store {
  /** The folder of a part, by its name and recipe; see `cached`. */
  cached(name: string, recipe: Recipe, build: (to: StoreBuild) => Promise<void>): Promise<string>;
  /** Has these Debian packages on this machine. */
  packages(names: readonly string[]): Promise<void>;
  /** The SHA-256 of a file, which may be in a part. */
  digest(path: string): Promise<string>;
}

/** Runs what computes for one part, when its turn has come; it is called for parts that are missing only. */
export type AroundTurn = <T>(name: string, work: () => Promise<T>) => Promise<T>;

/** From here on the compiler leaves cores idle where the packages' graph is narrow, and at the end, when it links. */
const coresOfOneGoBuild = 4;

/** The store that builds what is missing. */
export class BuildStore implements Store {
  readonly #around: AroundTurn;
  readonly #cache: string;
  readonly #turns: Readonly<Record<Turn, Turns>>;

  /**
   * @param around shows the work; a line now and then on standard error unless given
   * @param cache the cache folder
   * @param cores of this machine
   */
  constructor(
    around: AroundTurn = (name, work) => step(`build ${name}`, work),
    cache: string = cacheFolder(),
    cores: number = navigator.hardwareConcurrency,
  ) {
    this.#around = around;
    this.#cache = cache;
    // A Go build keeps all of a few cores busy. Two at once would compile what they share twice, the standard library to
    // begin with, as neither finds it in Go's cache yet. What runs on one core goes beside them, and mostly waits for disks.
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
