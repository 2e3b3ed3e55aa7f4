import { join } from "node:path";
import { buildGoTool } from "./build_go_tool.ts";
import { cacheFolder } from "./cache_folder.ts";
import { cached } from "./cached.ts";
import { goTools } from "./go_tools.ts";
import { withLock } from "./with_lock.ts";

/** The Go-built binaries, flat in one folder. */
export interface Binaries {
  /** An absolute path, whose content never changes. */
  readonly dir: string;
}

/** Names of binaries whose package has another name. */
const renamed: Readonly<Record<string, string>> = { server: "etcd" };

/**
 * Builds all Go programs that the tests need (Kubernetes, etcd, containerd, runc, CNI plugins, CoreDNS, crictl) and
 * returns the folder that has them all. `bin` in the cache folder is then a symbolic link to it.
 */
export async function prepareBinaries(): Promise<Binaries> {
  const [first, ...others] = goTools;
  const one = first === undefined ? Promise.resolve([]) : buildGoTool(first).then((folder) => [folder]);
  const folders = (await Promise.all([one, inTurn(others.map((tool) => () => buildGoTool(tool)))])).flat();
  const dir = await cached("binaries", { folders, renamed }, async ({ folder }) => {
    for (const source of folders) {
      for await (const { name } of Deno.readDir(source)) {
        await Deno.link(join(source, name), join(folder, renamed[name] ?? name));
      }
    }
  });
  await withLock("bin", () => pointTo(dir, join(cacheFolder(), "bin")));
  return { dir };
}

async function inTurn<T>(works: readonly (() => Promise<T>)[]): Promise<T[]> {
  const results: T[] = [];
  for (const work of works) results.push(await work());
  return results;
}

async function pointTo(target: string, link: string): Promise<void> {
  const fresh = `${link}.new`;
  await Deno.remove(fresh).catch((error) => {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  });
  await Deno.symlink(target, fresh);
  await Deno.rename(fresh, link);
}
