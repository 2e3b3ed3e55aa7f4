import { join } from "node:path";
import type { Build } from "./cached.ts";
import { containerImages } from "./container_images.ts";
import { debianPackages } from "./debian_packages.ts";
import { debianTree } from "./debian_tree.ts";
import { digestOfFile, listOfFiles } from "./digest.ts";
import { fillImageStore } from "./fill_image_store.ts";
import { goBinaries } from "./go_binaries.ts";
import { initSource, makeInitrd } from "./initrd.ts";
import { capture, run } from "./run.ts";
import type { Store } from "./store.ts";
import { unitLinks } from "./unit_links.ts";

/** The files that all VMs share. All paths are absolute. */
export interface VmBase {
  /** The file system below `/`: raw ext4 without partitions, and without a journal as it is never written to. */
  readonly image: string;
  /**
   * The file system below `/var` at the first boot: raw, sparse ext4. It is never written to, as each VM has an
   * overlay.
   */
  readonly state: string;
  readonly kernel: string;
  readonly initrd: string;
}

const mebibyte = 1024 ** 2;
const stateBytes = 8 * 1024 * mebibyte;
/** Space for files that are added to the base, and for the file system's own overhead. */
const roomMebibytes = 192;
const fileSystemShare = 1.06;
const rootUuid = "b0075472-a99e-4b00-8000-000000000001";
const stateUuid = "b0075472-a99e-4b00-8000-000000000002";
const rootfs = join(import.meta.dirname ?? ".", "vm/rootfs");

/** The files with the code that makes the base. A change in one of them makes a new base. */
const codeFiles = ["vm_base.ts", "fill_image_store.ts", "initrd.ts", "unit_links.ts"]
  .map((name) => join(import.meta.dirname ?? ".", name));

/** Binaries in `/usr/local/bin`. Those of the control plane are in container images only. */
const programs = ["containerd", "containerd-shim-runc-v2", "crictl", "ctr", "etcdctl", "kubeadm", "kubectl", "kubelet"];
const cniPlugins = ["bridge", "host-local", "loopback", "portmap"];
const enabled = ["containerd.service", "kubelet.service", "node-network.service"];

/** Leftovers from making the tree that a VM does not need. */
const leftOvers = ["etc/apt/sources.list", "etc/hostname", "etc/resolv.conf", "vmlinuz", "vmlinuz.old"];

/** The folder that the controller manager's Pod requires. */
const flexVolumes = "usr/libexec/kubernetes/kubelet-plugins/volume/exec";

/** Units that would extend PCR 12 or 15, run code from `/var`, or only prolong the boot. */
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
  "systemd-sysext.service",
  "systemd-update-utmp-runlevel.service",
  "systemd-update-utmp.service",
];

/**
 * Builds the base that all VMs share: Debian with containerd, kubelet, kubeadm and the cluster's container images, but
 * without files of this project. Needs root.
 */
export async function vmBase(store: Store): Promise<VmBase> {
  const [debian, binaries] = await Promise.all([debianTree(store), goBinaries(store)]);
  const archives = await containerImages(binaries, debian, store);
  const recipe = {
    ...{ debian, binaries, archives },
    rootfs: await listOfFiles(rootfs),
    code: await Promise.all([initSource, ...codeFiles].map(digestOfFile)),
  };
  const folder = await store.cached("vm-base", recipe, async (to) => {
    await debianPackages(["e2fsprogs"]);
    await to.turn("one-core", () => build(to, { debian, binaries, archives }));
  });
  const path = (name: string) => join(folder, name);
  return { image: path("root.img"), state: path("state.img"), kernel: path("vmlinuz"), initrd: path("initrd") };
}

interface Parts {
  readonly debian: string;
  readonly binaries: string;
  readonly archives: string;
}

async function build({ folder, log }: Build, { debian, binaries, archives }: Parts): Promise<void> {
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
  const folders = ["etc/kubernetes", "var/lib/kubernetes/manifests", "var/log/journal", flexVolumes];
  await run(["mkdir", "-p", ...folders.map((path) => join(root, path))], { log });
  await fillImageStore({ binaries, archives, root, log });

  const state = join(folder, "state");
  await Deno.rename(join(root, "var"), state);
  await Deno.mkdir(join(root, "var"));
  const used = Number((await capture(["du", "-s", "--block-size=1M", root])).split("\t")[0]);
  const rootBytes = Math.ceil(used * fileSystemShare + roomMebibytes) * mebibyte;
  await makeFileSystem(root, `${root}.img`, { label: "root", uuid: rootUuid, bytes: rootBytes, journal: false, log });
  await makeFileSystem(state, `${state}.img`, {
    ...{ label: "state", uuid: stateUuid, bytes: stateBytes, journal: true, log },
  });
}

interface FileSystem {
  readonly label: string;
  readonly uuid: string;
  readonly bytes: number;
  readonly journal: boolean;
  readonly log: string;
}

/** Makes an ext4 file system from a folder, and removes the folder. */
async function makeFileSystem(from: string, image: string, { label, uuid, bytes, journal, log }: FileSystem) {
  const features = ["-O", journal ? "has_journal" : "^has_journal", "-E", `hash_seed=${uuid},lazy_itable_init=1`];
  const args = ["-q", "-F", "-t", "ext4", "-L", label, "-U", uuid, ...features, "-d", from, image, `${bytes / 1024}k`];
  await run(["mke2fs", ...args], { log, env: { E2FSPROGS_FAKE_TIME: "1767225600" } });
  await Deno.remove(from, { recursive: true });
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
