import { packagesPart } from "./build_estimates.ts";
import { cacheFolder } from "./cache_folder.ts";
import { cachedFolder, type Recipe } from "./cached.ts";
import { missingPackages } from "./debian_packages.ts";
import { digestOfFile } from "./digest.ts";
import type { Store } from "./store.ts";

/**
 * A store that builds nothing, and records what is missing. It returns the same folders as the store that builds,
 * whether or not they exist. A part whose recipe has the digest of a missing file is missing too.
 */
export class PlanStore implements Store {
  readonly #missing = new Set<string>();
  readonly #cache: string;

  /** @param cache the cache folder */
  constructor(cache: string = cacheFolder()) {
    this.#cache = cache;
  }

  /** The names of all requested parts that are missing. */
  get missing(): readonly string[] {
    return [...this.#missing];
  }

  async cached(name: string, recipe: Recipe): Promise<string> {
    const { folder, exists } = await cachedFolder(name, recipe, this.#cache);
    if (!exists) this.#missing.add(name);
    return folder;
  }

  async packages(names: readonly string[]): Promise<void> {
    if ((await missingPackages(names)).length > 0) this.#missing.add(packagesPart);
  }

  async digest(path: string): Promise<string> {
    try {
      return await digestOfFile(path);
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return "missing";
      throw error;
    }
  }
}
