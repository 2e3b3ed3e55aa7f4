import { resolve } from "node:path";

/**
 * The absolute path of the folder that keeps everything the tools fetch and build: `BOOTSTRAPPER_CACHE`, or
 * `~/.cache/bootstrapper-dev`. It may be deleted whenever no tool is running.
 *
 * @throws Error when neither `BOOTSTRAPPER_CACHE` nor `HOME` is set.
 */
export function cacheFolder(): string {
  const chosen = Deno.env.get("BOOTSTRAPPER_CACHE");
  if (chosen) return resolve(chosen);
  const home = Deno.env.get("HOME");
  if (!home) throw new Error("Cannot find the cache folder as neither BOOTSTRAPPER_CACHE nor HOME is set");
  return resolve(home, ".cache/bootstrapper-dev");
}
