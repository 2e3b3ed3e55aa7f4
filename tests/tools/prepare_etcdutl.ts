import { join } from "node:path";
import { buildGoTool } from "./build_go_tool.ts";
import { etcdutlTool } from "./go_tools.ts";
import { prepareBinaries } from "./prepare_binaries.ts";
import { BuildStore } from "./store.ts";

/** Makes a folder with etcd and etcdutl, as `bootstrapper restore --programs` takes it. The caller removes it. */
export async function prepareEtcdutl(): Promise<string> {
  const [{ dir }, etcdutl] = [await prepareBinaries(), await buildGoTool(etcdutlTool, new BuildStore())];
  const folder = await Deno.makeTempDir({ prefix: "bootstrapper-etcdutl-" });
  await Deno.symlink(join(dir, "etcd"), join(folder, "etcd"));
  await Deno.symlink(join(etcdutl, "etcdutl"), join(folder, "etcdutl"));
  return folder;
}
