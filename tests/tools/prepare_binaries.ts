import { join } from "node:path";
import { cacheFolder } from "./cache_folder.ts";
import { goBinaries } from "./go_binaries.ts";
import { BuildStore, type Store } from "./store.ts";
import { withLock } from "./with_lock.ts";

/** The binaries built from Go modules, in one flat folder. */
export interface Binaries {
  /** The folder's absolute path. The content below this path never changes. */
  readonly dir: string;
}

/** Makes {@linkcode goBinaries}, and points the symbolic link `bin` in the cache folder at them. */
export async function prepareBinaries(store: Store = new BuildStore()): Promise<Binaries> {
  const dir = await goBinaries(store);
  await withLock("bin", () => pointTo(dir, join(cacheFolder(), "bin")));
  return { dir };
}

async function pointTo(target: string, link: string): Promise<void> {
  const fresh = `${link}.new`;
  await Deno.remove(fresh).catch((error) => {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  });
  await Deno.symlink(target, fresh);
  await Deno.rename(fresh, link);
}
