import { createHash } from "node:crypto";
import { basename, join } from "node:path";
import { cacheFolder } from "./cache_folder.ts";
import { withLock } from "./with_lock.ts";

/** Everything that decides the result of a build, as data: versions, commands, digests of input files. */
export type Recipe = string | number | boolean | null | readonly Recipe[] | { readonly [key: string]: Recipe };

/** What {@linkcode cached} passes to a build. */
export interface Build {
  /**
   * An empty folder, which the build fills. Its path changes after the build, so its contents must not depend on the
   * path.
   */
  readonly folder: string;
  /** The file for the output of the build's commands. */
  readonly log: string;
}

const digestLength = 16;
const evictedAfterMs = 60 * 60 * 1000;

/**
 * Returns the folder `NAME-DIGEST` in the cache, where DIGEST is the digest of the recipe. If it does not exist,
 * `build` makes it. One process builds while others that want the same name wait. The build happens in a temporary
 * folder that is renamed at the end, so a folder with the final name is always complete; the next build removes the
 * leftovers of a killed one. After a build, folders of the same name that were not requested for an hour are removed.
 *
 * @param cache the cache folder
 * @throws what `build` throws; its result is then discarded.
 */
export async function cached(
  name: string,
  recipe: Recipe,
  build: (to: Build) => Promise<void>,
  cache: string = cacheFolder(),
): Promise<string> {
  const { folder: final, exists } = await cachedFolder(name, recipe, cache);
  if (exists) return final;
  return await withLock(name, async () => {
    if (await touch(final)) return final;
    const temporary = join(cache, "tmp", name);
    await remove(temporary);
    const folder = join(temporary, basename(final));
    await Deno.mkdir(folder, { recursive: true });
    const log = join(cache, "logs", `${basename(final)}.log`);
    try {
      await build({ folder, log });
      await Deno.rename(folder, final);
    } finally {
      await remove(temporary);
    }
    await touch(final);
    await evict(cache, name, final);
    return final;
  }, cache);
}

/**
 * The folder that {@linkcode cached} returns for a recipe, and whether it exists. A recipe names its inputs by their
 * own recipes, so the folders of all parts are known before any of them is built.
 */
export async function cachedFolder(
  name: string,
  recipe: Recipe,
  cache: string = cacheFolder(),
): Promise<{ readonly folder: string; readonly exists: boolean }> {
  const folder = join(cache, `${name}-${digestOf(recipe)}`);
  return { folder, exists: await touch(folder) };
}

/** Marks a folder as used now, and returns whether it exists. */
async function touch(folder: string): Promise<boolean> {
  try {
    const now = new Date();
    await Deno.utime(folder, now, now);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

async function evict(cache: string, name: string, kept: string): Promise<void> {
  const sibling = new RegExp(`^${name}-[0-9a-f]{${digestLength}}$`);
  for await (const entry of Deno.readDir(cache)) {
    const path = join(cache, entry.name);
    if (!sibling.test(entry.name) || path === kept) continue;
    const { mtime } = await Deno.stat(path);
    if (Date.now() - (mtime?.getTime() ?? 0) > evictedAfterMs) await remove(path);
  }
}

async function remove(folder: string): Promise<void> {
  try {
    await Deno.remove(folder, { recursive: true });
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

function digestOf(recipe: Recipe): string {
  return createHash("sha256").update(canonical(recipe)).digest("hex").slice(0, digestLength);
}

/** JSON with sorted keys, so that equal recipes have equal digests. */
function canonical(recipe: Recipe): string {
  return JSON.stringify(recipe, (_, value) => {
    if (value === null || typeof value !== "object" || Array.isArray(value)) return value;
    return Object.fromEntries(Object.entries(value).toSorted(([a], [b]) => a < b ? -1 : 1));
  });
}
