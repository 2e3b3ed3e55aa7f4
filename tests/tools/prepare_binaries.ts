import { join } from "node:path";
import { buildGoTool } from "./build_go_tool.ts";
import { cacheFolder } from "./cache_folder.ts";
import { goBinaries } from "./go_binaries.ts";
import { nextKubeadmTool } from "./go_tools.ts";
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

/** Makes kubeadm of the version to which tests upgrade. */
export async function prepareNextKubeadm(store: Store = new BuildStore()): Promise<Binaries> {
  return { dir: await buildGoTool(nextKubeadmTool, store) };
}

async function pointTo(target: string, link: string): Promise<void> {
  const fresh = `${link}.new`;
  await Deno.remove(fresh).catch((error) => {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  });
  await Deno.symlink(target, fresh);
  await Deno.rename(fresh, link);
}
