import { join } from "node:path";
import { pauseImage } from "./container_images.ts";
import { run } from "./run.ts";

const deadlineSeconds = 300;
/** Plugins that the import does not use, and that require a CNI configuration and cgroups. */
const disabledPlugins = ["io.containerd.grpc.v1.cri", "io.containerd.cri.v1.images", "io.containerd.cri.v1.runtime"];
const managed = "io.cri-containerd.image=managed";
const pinned = "io.cri-containerd.pinned=pinned";

/** The input of {@linkcode fillImageStore}. */
export interface ImageStoreOptions {
  /** The folder with `containerd` and `ctr`. */
  readonly binaries: string;
  /** The folder with the docker-archives. */
  readonly archives: string;
  /** The root folder of the VM's file tree. */
  readonly root: string;
  readonly log: string;
}

const script = `
  containerd --config config.toml &
  pid=$!
  until ctr version >version.txt 2>&1; do kill -0 $pid; sleep 0.05; done
  for archive in "$archives"/*.tar; do
    ctr images import --local --discard-unpacked-layers --label ${managed} "$archive"
  done
  ctr images label ${pauseImage} ${managed} ${pinned}
  ctr content prune references
  kill $pid
  wait $pid`;

/**
 * Imports and unpacks docker-archives into the containerd image store of a VM's file tree. A temporary containerd on
 * this machine does the work. Needs root and overlayfs.
 *
 * @throws Error naming the log when an import fails.
 */
export async function fillImageStore({ binaries, archives, root, log }: ImageStoreOptions): Promise<void> {
  const work = await Deno.makeTempDir({ prefix: "bootstrapper-containerd-" });
  const socket = join(work, "containerd.sock");
  const config = `version = 3
root = '${join(root, "var/lib/containerd")}'
state = '${join(work, "state")}'
disabled_plugins = ${JSON.stringify(disabledPlugins)}
[grpc]
address = '${socket}'
`;
  const env = {
    PATH: `${binaries}:${Deno.env.get("PATH") ?? ""}`,
    CONTAINERD_ADDRESS: socket,
    CONTAINERD_NAMESPACE: "k8s.io",
    archives,
  };
  // Mounts and processes started here end with the namespaces in any case.
  const isolated = ["unshare", "--mount", "--pid", "--fork", "--kill-child"] as const;
  try {
    await Deno.writeTextFile(join(work, "config.toml"), config);
    await run([...isolated, "timeout", `${deadlineSeconds}`, "sh", "-euxc", script], { log, env, cwd: work });
  } finally {
    await Deno.remove(work, { recursive: true });
  }
}
