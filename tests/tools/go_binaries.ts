import { join } from "node:path";
import { buildGoTool } from "./build_go_tool.ts";
import { goTools } from "./go_tools.ts";
import type { Store } from "./store.ts";

/** Names of binaries whose package has another name. */
const renamed: Readonly<Record<string, string>> = { server: "etcd" };

/**
 * Builds all Go programs that the tests need (Kubernetes, etcd, containerd, runc, CNI plugins, CoreDNS, crictl) and
 * returns the folder that has them all, flat.
 */
export async function goBinaries(store: Store): Promise<string> {
  // All at once: modules are fetched for one tool while another one compiles; the store says whose turn that is.
  const folders = await Promise.all(goTools.map((tool) => buildGoTool(tool, store)));
  return await store.cached("binaries", { folders, renamed }, async ({ folder }) => {
    for (const source of folders) {
      for await (const { name } of Deno.readDir(source)) {
        await Deno.link(join(source, name), join(folder, renamed[name] ?? name));
      }
    }
  });
}
