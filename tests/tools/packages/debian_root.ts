import { join } from "node:path";
import { debianArchive, debianPackages } from "../debian_packages.ts";
import { run } from "../run.ts";
import type { Store } from "../store.ts";

/** A release of Debian on which packages are tried, by its code name. */
export type DebianSuite = "bookworm" | "trixie";

/** The releases of Debian on which packages are tried: 12 and 13. */
export const DEBIAN_SUITES: readonly DebianSuite[] = ["bookworm", "trixie"];

/** What a machine of each release has that is installed by Debian's own installer, as far as packages need it. */
const packages = ["systemd", "systemd-sysv", "udev"];
const leftOut = ["/usr/share/info/*", "/usr/share/locale/*", "/usr/share/man/*"];
const sourceDate = "1767225600";

/**
 * Makes the root of a plain Debian, without a kernel, and returns its folder. Nobody changes it: a test copies it. The
 * packages are the latest at the time of the build. Needs root.
 */
export async function debianRoot(store: Store, suite: DebianSuite): Promise<string> {
  const folder = await store.cached(`root-${suite}`, { suite, packages, leftOut, sourceDate }, async (to) => {
    const { folder, log } = to;
    await debianPackages(["mmdebstrap"]);
    const root = join(folder, "root");
    const options = ["--mode=root", "--variant=minbase", `--include=${packages.join(",")}`];
    const excludes = leftOut.map((pattern) => `--dpkgopt=path-exclude=${pattern}`);
    // Mounts and processes of a killed run end with the namespaces.
    const isolated = ["unshare", "--mount-proc", "--pid", "--fork", "--kill-child"] as const;
    const command = [...isolated, "mmdebstrap", ...options, ...excludes, suite, root, await debianArchive()] as const;
    await to.turn("one-core", () => run(command, { log, env: { SOURCE_DATE_EPOCH: sourceDate } }));
    await Deno.chmod(root, 0o755);
  });
  return join(folder, "root");
}
