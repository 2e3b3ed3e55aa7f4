import { join } from "node:path";
import { buildGoTool } from "./build_go_tool.ts";
import { goTools } from "./go_tools.ts";
import type { Store } from "./store.ts";

/** Binaries whose name differs from that of their package. */
const renamed: Readonly<Record<string, string>> = { server: "etcd" };

/**
 * Builds all Go programs that the tests need (Kubernetes, etcd, containerd, runc, CNI plugins, CoreDNS, crictl) and
 * returns a single flat folder with all of them.
 */
export async function goBinaries(store: Store): Promise<string> {
  // All tools start at once: one tool's modules are fetched while another tool compiles. The store decides which one
  // compiles.
  const folders = await Promise.all(goTools.map((tool) => buildGoTool(tool, store)));
  return await store.cached("binaries", { folders, renamed }, async ({ folder }) => {
    for (const source of folders) {
      for await (const { name } of Deno.readDir(source)) {
        await Deno.link(join(source, name), join(folder, renamed[name] ?? name));
      }
    }
  });
}
