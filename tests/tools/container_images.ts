import { join } from "node:path";
import type { Build } from "./cached.ts";
import { digestOfFile } from "./digest.ts";
import { corednsVersion, etcdVersion, kubernetesVersion } from "./go_tools.ts";
import { debianPackages } from "./debian_packages.ts";
import { imageArchive, IPTABLES } from "./image_archive.ts";
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

const images: readonly ContainerImage[] = [
  ...["kube-apiserver", "kube-controller-manager", "kube-scheduler"].map((name) => ({
    reference: `registry.k8s.io/${name}:${kubernetesVersion}`,
    program: `/usr/local/bin/${name}`,
  })),
  {
    reference: `registry.k8s.io/kube-proxy:${kubernetesVersion}`,
    program: "/usr/local/bin/kube-proxy",
    debianPrograms: ["/usr/sbin/nft", "/usr/sbin/conntrack", ...IPTABLES],
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
  const archiveCode = join(import.meta.dirname ?? ".", "image_archive.ts");
  const code = await Promise.all([import.meta.filename ?? "", archiveCode, pauseSource].map(digestOfFile));
  return await store.cached("container-images", { code, binaries, debian }, async (to) => {
    await debianPackages(["gcc", "libc6-dev"]);
    await to.turn("one-core", () => build(binaries, debian, pauseSource, to));
  });
}

async function build(binaries: string, debian: string, pauseSource: string, to: Build): Promise<void> {
  const pause = join(to.folder, "pause");
  await run(["gcc", "-static", "-Os", "-s", "-o", pause, pauseSource], { log: to.log });
  for (const image of images) {
    const { reference, program, entrypoint = false, debianPrograms = [] } = image;
    const source = reference === pauseImage ? pause : join(binaries, program.split("/").at(-1) ?? "");
    const archive = join(to.folder, `${reference.split("/").at(-1)?.replace(":", "-")}.tar`);
    const entry = entrypoint ? { entrypoint: [program] } : {};
    await imageArchive(archive, { reference, files: { [program]: source }, debianPrograms, ...entry }, debian, to.log);
  }
  await Deno.remove(pause);
}
