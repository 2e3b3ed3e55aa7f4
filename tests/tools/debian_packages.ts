import { join } from "node:path";
import { cacheFolder } from "./cache_folder.ts";
import { capture, run } from "./run.ts";
import { step } from "./step.ts";
import { withLock } from "./with_lock.ts";

const lockTimeoutSeconds = 300;

/**
 * Installs those of the packages that are missing. Needs root only when a package is missing.
 *
 * @param around reports the work; by default a line now and then on standard error
 * @throws Error naming the log when `apt-get` fails.
 */
export async function debianPackages(
  names: readonly string[],
  around: (work: () => Promise<void>) => Promise<void> = (work) => step("install Debian packages", work),
): Promise<void> {
  if ((await missingPackages(names)).length === 0) return;
  await withLock("debian-packages", async () => {
    const wanted = await missingPackages(names);
    if (wanted.length === 0) return;
    const log = join(cacheFolder(), "logs", "debian-packages.log");
    const env = { DEBIAN_FRONTEND: "noninteractive" };
    const wait = ["-o", `DPkg::Lock::Timeout=${lockTimeoutSeconds}`];
    await around(async () => {
      await run(["apt-get", ...wait, "update"], { log, env });
      await run(["apt-get", ...wait, "install", "--yes", "--no-install-recommends", ...wanted], { log, env });
    });
  });
}

/** Returns those of the packages that are not installed. */
export async function missingPackages(names: readonly string[]): Promise<string[]> {
  const listed = await capture(["dpkg-query", "--show", "--showformat=${Package} ${db:Status-Status}\n"]);
  const installed = new Set(
    listed.split("\n").filter((line) => line.endsWith(" installed")).map((l) => l.split(" ")[0]),
  );
  return names.filter((name) => !installed.has(name));
}
