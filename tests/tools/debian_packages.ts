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

/** What apt says of each index that it reads: whose it is, and where. */
const indexForm = "$(ORIGIN)|$(LABEL)|$(REPO_URI)";

/**
 * Returns the address from which this machine's apt gets Debian, for releases that apt itself is not set up for.
 *
 * @throws Error when apt knows none.
 */
export async function debianArchive(): Promise<string> {
  return archiveAmong(await capture(["apt-get", "indextargets", "--format", indexForm, "Created-By: Packages"]));
}

/** Finds the archive of Debian among the lines of `apt-get indextargets`; others may have the same suites. */
export function archiveAmong(lines: string): string {
  for (const line of lines.split("\n")) {
    const [origin, label, address] = line.split("|");
    if (origin === "Debian" && label === "Debian" && address !== undefined) return address.replace(/\/$/, "");
  }
  throw new Error("apt knows no archive of Debian: run `apt-get update`, and look into /etc/apt/sources.list.d");
}
