import { join } from "node:path";
import { cacheFolder } from "./cache_folder.ts";

/**
 * Runs `work` while this process holds the advisory lock (flock(2)) of that name in the cache folder, and waits if
 * another process holds it. The kernel releases the lock when its holder dies, so a lock is never left behind. Not
 * reentrant.
 *
 * @param cache the cache folder
 */
export async function withLock<T>(name: string, work: () => Promise<T>, cache: string = cacheFolder()): Promise<T> {
  const folder = join(cache, "locks");
  await Deno.mkdir(folder, { recursive: true });
  using file = await Deno.open(join(folder, name), { create: true, write: true });
  await file.lock(true);
  return await work();
}
