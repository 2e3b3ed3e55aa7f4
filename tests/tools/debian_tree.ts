import { join } from "node:path";
import { debianPackages } from "./debian_packages.ts";
import { run } from "./run.ts";
import type { Store } from "./store.ts";

const suite = "bookworm";
const packages = [
  "ca-certificates",
  "conntrack",
  "dbus",
  "ethtool",
  "iproute2",
  "iptables",
  "kmod",
  "linux-image-cloud-amd64",
  "mount",
  "nftables",
  "procps",
  "qemu-guest-agent",
  "socat",
  "systemd",
  "systemd-sysv",
  "udev",
  "util-linux",
];
const leftOut = ["/usr/share/doc/*", "/usr/share/info/*", "/usr/share/locale/*", "/usr/share/man/*"];
const sourceDate = "1767225600";

/**
 * Makes a minimal Debian with a kernel and systemd, and returns the folder that is its root. The packages are the
 * latest at the time of the build. Needs root.
 */
export async function debianTree(store: Store): Promise<string> {
  const folder = await store.cached("vm-debian", { suite, packages, leftOut, sourceDate }, async (to) => {
    const { folder, log } = to;
    await debianPackages(["mmdebstrap"]);
    const root = join(folder, "root");
    const options = ["--mode=root", "--variant=minbase", `--include=${packages.join(",")}`];
    const excludes = leftOut.map((pattern) => `--dpkgopt=path-exclude=${pattern}`);
    // Mounts and processes of a killed run end with the namespaces. The initrd is made elsewhere.
    const isolated = ["unshare", "--mount-proc", "--pid", "--fork", "--kill-child"] as const;
    const env = { SOURCE_DATE_EPOCH: sourceDate, INITRD: "No" };
    const command = [...isolated, "mmdebstrap", ...options, ...excludes, suite, root] as const;
    await to.turn("one-core", () => run(command, { log, env }));
    await Deno.chmod(root, 0o755);
  });
  return join(folder, "root");
}
