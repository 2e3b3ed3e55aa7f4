import { join } from "node:path";

const KEPT_LOGS_MS = 24 * 60 * 60 * 1000;

/** Makes a new folder for a world, with `nodes` and `logs`, and removes folders of earlier worlds after a day. */
export async function prepareWorldFolder(): Promise<string> {
  const parent = join(Deno.env.get("TMPDIR") ?? "/tmp", "bootstrapper-worlds");
  await Deno.mkdir(parent, { recursive: true });
  for await (const { name } of Deno.readDir(parent)) {
    const path = join(parent, name);
    const changed = (await Deno.stat(path).catch(() => undefined))?.mtime?.getTime() ?? Date.now();
    if (Date.now() - changed > KEPT_LOGS_MS) await Deno.remove(path, { recursive: true }).catch(() => {});
  }
  const folder = await Deno.makeTempDir({ dir: parent });
  for (const name of ["nodes", "logs"]) await Deno.mkdir(join(folder, name));
  return folder;
}
