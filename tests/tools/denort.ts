import { join } from "node:path";
import { debianPackages } from "./debian_packages.ts";
import { digestOfFile } from "./digest.ts";
import { run } from "./run.ts";
import type { Store } from "./store.ts";

const packed = join(import.meta.dirname ?? ".", "../../../shared/denort/denort-2.9.5.xz");
const unpackedDigest = "9dabaff43d5e6879387ad310c9d33e63c1c8dee0f3c60a613717eeb597304785";

/**
 * The path of the runtime that `deno compile` puts into a binary, for `DENORT_BIN`; it is unpacked from the file beside
 * this repository. Undefined if there is no such file for this machine's architecture: Deno then fetches its own.
 *
 * @throws Error when the file is not the expected one.
 */
export async function denort(store: Store): Promise<string | undefined> {
  if (Deno.build.arch !== "x86_64" || !await Deno.stat(packed).then(() => true, () => false)) return undefined;
  const folder = await store.cached("denort", { unpackedDigest }, async ({ folder, log, turn }) => {
    await debianPackages(["xz-utils"]);
    const file = join(folder, "denort");
    await turn("one-core", () => run(["sh", "-euc", `xz -dc "$1" >"$2"`, "sh", packed, file], { log }));
    const digest = await digestOfFile(file);
    if (digest !== unpackedDigest) {
      throw new Error(`Cannot use "${packed}": its SHA-256 is ${digest}, not ${unpackedDigest}`);
    }
    await Deno.chmod(file, 0o755);
  });
  return join(folder, "denort");
}
