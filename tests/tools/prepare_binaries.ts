import { join } from "node:path";
import { cacheFolder } from "./cache_folder.ts";
import { goBinaries } from "./go_binaries.ts";
import { BuildStore, type Store } from "./store.ts";
import { withLock } from "./with_lock.ts";

/** The Go-built binaries, flat in one folder. */
export interface Binaries {
  /** An absolute path, whose content never changes. */
  readonly dir: string;
}

/** Makes {@linkcode goBinaries} and has `bin` in the cache folder be a symbolic link to them. */
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
