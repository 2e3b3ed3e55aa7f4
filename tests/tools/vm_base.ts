import { join } from "node:path";
import { type Build, cached } from "./cached.ts";
import { containerImages } from "./container_images.ts";
import { debianPackages } from "./debian_packages.ts";
import { debianTree } from "./debian_tree.ts";
import { digestOfFile, listOfFiles } from "./digest.ts";
import { fillImageStore } from "./fill_image_store.ts";
import { initSource, makeInitrd } from "./initrd.ts";
import { prepareBinaries } from "./prepare_binaries.ts";
import { run } from "./run.ts";
import { unitLinks } from "./unit_links.ts";

/** What a VM boots. All paths are absolute. */
export interface VmImage {
  /** A raw ext4 file system, sparse, without partitions; never written to: a VM gets an overlay. */
  readonly image: string;
  readonly kernel: string;
  readonly initrd: string;
}

const imageBytes = 8 * 1024 ** 3;
const fileSystemUuid = "b0075472-a99e-4b00-8000-000000000001";
const rootfs = join(import.meta.dirname ?? ".", "vm/rootfs");

/** Where it is written how the base is made: a change there makes another base. */
const codeFiles = ["vm_base.ts", "fill_image_store.ts", "initrd.ts", "unit_links.ts"]
  .map((name) => join(import.meta.dirname ?? ".", name));

/** Binaries in `/usr/local/bin`; the control plane's are in container images only. */
const programs = ["containerd", "containerd-shim-runc-v2", "crictl", "ctr", "etcdctl", "kubeadm", "kubectl", "kubelet"];
const cniPlugins = ["bridge", "host-local", "loopback", "portmap"];
const enabled = ["containerd.service", "kubelet.service", "node-network.service"];

/** What making the tree left behind, of no use in a VM. */
const leftOvers = ["etc/apt/sources.list", "etc/hostname", "etc/resolv.conf", "vmlinuz", "vmlinuz.old"];

/** Units that would write to PCRs 12 and 15, or that only make the boot longer. */
const masked = [
  "systemd-pcrfs-root.service",
  "systemd-pcrfs@.service",
  "systemd-pcrmachine.service",
  "systemd-pcrphase-initrd.service",
  "systemd-pcrphase-sysinit.service",
  "systemd-pcrphase.service",
  "apt-daily-upgrade.timer",
  "apt-daily.timer",
  "dpkg-db-backup.timer",
  "e2scrub_all.timer",
  "e2scrub_reap.service",
  "fstrim.timer",
  "getty.target",
  "serial-getty@.service",
  "systemd-ask-password-console.path",
  "systemd-ask-password-wall.path",
  "systemd-logind.service",
  "systemd-pstore.service",
  "systemd-update-utmp-runlevel.service",
  "systemd-update-utmp.service",
];

/**
 * Builds what all VMs have in common: Debian with containerd, kubelet, kubeadm and the cluster's container images, but
 * nothing of this project. Needs root.
 */
export async function vmBase(): Promise<VmImage> {
  const debian = await debianTree();
  const { dir: binaries } = await prepareBinaries();
  const archives = await containerImages(binaries, debian);
  const recipe = {
    ...{ debian, binaries, archives },
    rootfs: await listOfFiles(rootfs),
    code: await Promise.all([initSource, ...codeFiles].map(digestOfFile)),
  };
  const folder = await cached("vm-base", recipe, (to) => build(to, { debian, binaries, archives }));
  return { image: join(folder, "root.img"), kernel: join(folder, "vmlinuz"), initrd: join(folder, "initrd") };
}

interface Parts {
  readonly debian: string;
  readonly binaries: string;
  readonly archives: string;
}

async function build({ folder, log }: Build, { debian, binaries, archives }: Parts): Promise<void> {
  await debianPackages(["e2fsprogs"]);
  const root = join(folder, "root");
  await run(["cp", "-a", debian, root], { log });
  const [version = ""] = (await Array.fromAsync(Deno.readDir(join(root, "lib/modules")))).map((entry) => entry.name);
  await Deno.rename(join(root, "boot", `vmlinuz-${version}`), join(folder, "vmlinuz"));
  await makeInitrd(join(root, "lib/modules", version), join(folder, "initrd"), { log });

  const install = async (names: readonly string[], target: string) => {
    const sources = names.map((name) => join(binaries, name));
    await run(["install", "-D", "-t", join(root, target), "-m", "0755", ...sources], { log });
  };
  await install(programs, "usr/local/bin");
  await install(["runc"], "usr/local/sbin");
  await install(cniPlugins, "opt/cni/bin");
  await run(["cp", "-rT", "--preserve=mode", rootfs, root], { log });
  await setUnits(root);
  await Deno.writeTextFile(join(root, "etc/machine-id"), "");
  await run(["rm", "-f", ...leftOvers.map((path) => join(root, path))], { log });
  await run(["mkdir", "-p", join(root, "etc/kubernetes/manifests"), join(root, "var/log/journal")], { log });
  await fillImageStore({ binaries, archives, root, log });

  const features = ["-E", `hash_seed=${fileSystemUuid},lazy_itable_init=1`, "-U", fileSystemUuid];
  const image = join(folder, "root.img");
  const env = { E2FSPROGS_FAKE_TIME: "1767225600" };
  await run(
    ["mke2fs", "-q", "-F", "-t", "ext4", "-L", "root", ...features, "-d", root, image, `${imageBytes / 1024}k`],
    { log, env },
  );
  await Deno.remove(root, { recursive: true });
}

async function setUnits(root: string): Promise<void> {
  const units = join(root, "etc/systemd/system");
  for (const name of masked) await link("/dev/null", join(units, name));
  await link("/lib/systemd/system/multi-user.target", join(units, "default.target"));
  for (const name of enabled) {
    for (const { path, target } of unitLinks(name, await Deno.readTextFile(join(units, name)))) {
      await link(target, join(root, path));
    }
  }
}

async function link(target: string, path: string): Promise<void> {
  await Deno.mkdir(join(path, ".."), { recursive: true });
  await Deno.symlink(target, path);
}
