import { createHash } from "node:crypto";
import { join } from "node:path";
import type { Build } from "./cached.ts";
import { digestOfFile } from "./digest.ts";
import { corednsVersion, etcdVersion, kubernetesVersion } from "./go_tools.ts";
import { debianPackages } from "./debian_packages.ts";
import { run } from "./run.ts";
import type { Store } from "./store.ts";

/** A container image of one program. */
interface ContainerImage {
  /** The full name by which kubeadm requests the image. */
  readonly reference: string;
  /** The program's path in the image. */
  readonly program: string;
  readonly entrypoint?: boolean;
  /** Programs of the VM's Debian that the image contains, with the libraries they need. */
  readonly debianPrograms?: readonly string[];
}

/** The pause image that containerd and kubeadm of {@linkcode kubernetesVersion} use. */
export const pauseImage = "registry.k8s.io/pause:3.10.2";

const imagePath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

const iptables = ["iptables", "ip6tables"].flatMap((name) => [name, `${name}-save`, `${name}-restore`]);

const images: readonly ContainerImage[] = [
  ...["kube-apiserver", "kube-controller-manager", "kube-scheduler"].map((name) => ({
    reference: `registry.k8s.io/${name}:${kubernetesVersion}`,
    program: `/usr/local/bin/${name}`,
  })),
  {
    reference: `registry.k8s.io/kube-proxy:${kubernetesVersion}`,
    program: "/usr/local/bin/kube-proxy",
    debianPrograms: ["nft", "conntrack", ...iptables].map((name) => `/usr/sbin/${name}`),
  },
  { reference: `registry.k8s.io/etcd:${etcdVersion.slice(1)}-0`, program: "/usr/local/bin/etcd" },
  { reference: `registry.k8s.io/coredns/coredns:${corednsVersion}`, program: "/coredns", entrypoint: true },
  { reference: pauseImage, program: "/pause", entrypoint: true },
];

/** The names of the images that {@linkcode containerImages} makes. */
export const containerImageReferences: readonly string[] = images.map((image) => image.reference);

/**
 * Makes the container images of a kubeadm cluster from binaries, and returns the folder with the archives. Each image
 * is a docker-archive with one uncompressed layer.
 *
 * @param binaries the folder that `goBinaries` returns
 * @param debian the folder that `debianTree` returns
 */
export async function containerImages(binaries: string, debian: string, store: Store): Promise<string> {
  const pauseSource = join(import.meta.dirname ?? ".", "vm/pause.c");
  const code = await Promise.all([import.meta.filename ?? "", pauseSource].map(digestOfFile));
  return await store.cached("container-images", { code, binaries, debian }, async (to) => {
    await debianPackages(["gcc", "libc6-dev"]);
    await to.turn("one-core", () => build(binaries, debian, pauseSource, to));
  });
}

async function build(binaries: string, debian: string, pauseSource: string, to: Build): Promise<void> {
  const pause = join(to.folder, "pause");
  await run(["gcc", "-static", "-Os", "-s", "-o", pause, pauseSource], { log: to.log });
  for (const image of images) {
    const name = image.program.split("/").at(-1) ?? "";
    await archive(image, image.reference === pauseImage ? pause : join(binaries, name), debian, to);
  }
  await Deno.remove(pause);
}

async function archive(image: ContainerImage, binary: string, debian: string, { folder, log }: Build): Promise<void> {
  const work = await Deno.makeTempDir({ prefix: "bootstrapper-image-" });
  try {
    const root = join(work, "root");
    await run(["mkdir", "-p", "-m", "0755", root, join(root, "etc"), join(root, image.program, "..")], { log });
    await run(["mkdir", "-m", "1777", join(root, "tmp")], { log });
    if (image.debianPrograms) await addDebianPrograms(image.debianPrograms, debian, root, log);
    await run(["cp", binary, join(root, image.program)], { log });
    const layer = join(work, "layer.tar");
    await tar(layer, root, ["."], log);
    const config = {
      architecture: "amd64",
      os: "linux",
      config: { Env: [`PATH=${imagePath}`], ...(image.entrypoint ? { Entrypoint: [image.program] } : {}) },
      rootfs: { type: "layers", diff_ids: [`sha256:${await digestOfFile(layer)}`] },
    };
    const text = JSON.stringify(config);
    const configName = `${createHash("sha256").update(text).digest("hex")}.json`;
    await Deno.writeTextFile(join(work, configName), text);
    const manifest = [{ Config: configName, RepoTags: [image.reference], Layers: ["layer.tar"] }];
    await Deno.writeTextFile(join(work, "manifest.json"), JSON.stringify(manifest));
    const name = `${image.reference.split("/").at(-1)?.replace(":", "-")}.tar`;
    await tar(join(folder, name), work, ["manifest.json", configName, "layer.tar"], log);
  } finally {
    await Deno.remove(work, { recursive: true });
  }
}

/** Copies programs with their libraries, and the modules that iptables loads at run time. */
async function addDebianPrograms(
  programs: readonly string[],
  debian: string,
  root: string,
  log: string,
): Promise<void> {
  await run(["mkdir", "-p", ...["bin", "sbin", "lib", "lib64"].map((name) => join(root, "usr", name))], { log });
  for (const name of ["bin", "sbin", "lib", "lib64"]) await Deno.symlink(`usr/${name}`, join(root, name));
  const script = `
    files=$(
      for program; do echo "$program"; ldd "$program" | grep -o '/[^ ]*'; done
      find /usr/lib/x86_64-linux-gnu/xtables -name '*.so'
    )
    echo "$files" | sort -u | sed 's/^/./' | tar -C / -c --dereference --hard-dereference -T - -f -`;
  const copy = `chroot "$1" sh -euc "$3" sh $4 | tar -C "$2" -x`;
  await run(["sh", "-euc", copy, "sh", debian, root, script, programs.join(" ")], { log });
}

async function tar(file: string, folder: string, members: readonly string[], log: string): Promise<void> {
  const owner = ["--owner=0", "--group=0", "--numeric-owner"];
  const fixed = ["--sort=name", "--mtime=@0", "--format=gnu", ...owner];
  await run(["tar", ...fixed, "-C", folder, "-cf", file, ...members], { log });
}
