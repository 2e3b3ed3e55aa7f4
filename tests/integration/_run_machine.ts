import { join } from "node:path";
import { stringify } from "yaml";
import { JOIN_SERVICE_PORT } from "../../node/join_service_install.ts";
import { containerImageReferences } from "../tools/container_images.ts";
import { prepareBinaries } from "../tools/prepare_binaries.ts";
import { capture } from "../tools/run.ts";
import { repositoryRoot, World } from "../world.ts";
import type { WorldNode } from "../world_node.ts";
import { BOOTSTRAPPER, BootstrapperProcess } from "./_run_process.ts";

/** What a node's configuration says beside what is the same for all. */
export interface MachineOptions {
  /** Whether it waits for an operator's init. */
  readonly init: boolean;
  /** The machines where it asks for a ticket, by name. */
  readonly joinAt?: readonly string[];
}

/** The name of every cluster of these tests. */
export const CLUSTER_NAME = "test";
const CONFIGURATION = "/etc/bootstrapper/config.yaml";
const UNITS = "/etc/bootstrapper/units";
const CONTAINERD_CONFIGURATION = `version = 3
root = '/run/containerd-root'
state = '/run/containerd'
[grpc]
address = '/run/containerd/containerd.sock'
`;
/**
 * What a machine has after its boot and a namespace has not: forwarding, control groups of version 2 (where the host has
 * version 1, a hierarchy of version 2 without controllers, and a file over it that names some, as kubeadm reads it), and
 * containerd with the images, which are names of an empty one here.
 */
const BOOT_SCRIPT = `
echo 1 >/proc/sys/net/ipv4/ip_forward
if [ "$(stat -fc %T /sys/fs/cgroup)" != cgroup2fs ]; then
  mount -t cgroup2 cgroup2 /sys/fs/cgroup
  echo cpuset cpu io memory hugetlb pids >/run/stand-in-cgroup.controllers
  mount --bind /run/stand-in-cgroup.controllers /sys/fs/cgroup/cgroup.controllers
fi
tries=0
until ctr version >/dev/null 2>&1; do
  tries=$((tries + 1))
  [ $tries -lt 600 ]
  sleep 0.05
done
ctr --namespace k8s.io images import --label io.cri-containerd.image=managed "$1"
`;

/** A world whose machines have what the image of a node has. */
export class RunWorld implements AsyncDisposable {
  readonly #toolbox: string;

  private constructor(readonly world: World, toolbox: string) {
    this.#toolbox = toolbox;
  }

  /** Makes an empty one. */
  static async create(): Promise<RunWorld> {
    const toolbox = await Deno.makeTempDir({ prefix: "bootstrapper-toolbox-" });
    const { dir } = await prepareBinaries();
    for await (const { name } of Deno.readDir(dir)) await Deno.symlink(join(dir, name), join(toolbox, name));
    const systemctl = join(import.meta.dirname ?? ".", "_run_systemctl_stand_in.sh");
    await Deno.copyFile(systemctl, join(toolbox, "systemctl"));
    await Deno.chmod(join(toolbox, "systemctl"), 0o755);
    await makeEmptyImages(toolbox);
    return new RunWorld(await World.create({ binaries: toolbox }), toolbox);
  }

  /** A machine that has booted, and whose bootstrapper has not started. */
  async machine(name: string, operatorKey: string, options: MachineOptions): Promise<RunMachine> {
    const node = await this.world.node(name);
    const services = await Promise.all((options.joinAt ?? []).map((other) => this.world.node(other)));
    await node.write(
      CONFIGURATION,
      stringify({
        version: 1,
        trust: { clusterName: CLUSTER_NAME, operatorKeys: [operatorKey] },
        evidence: { variant: "none", allowInsecure: true },
        init: { enabled: options.init },
        join: { endpoints: services.map(({ ip }) => `${ip}:${JOIN_SERVICE_PORT}`) },
        allowUnmeasuredImage: true,
      }),
    );
    const standIn = [Deno.execPath(), "run", "-A", "--no-lock", `${repositoryRoot}/tests/kubelet_stand_in.ts`];
    await writeUnit(node, "kubelet", standIn);
    await writeUnit(node, "bootstrapper-join-service", [...BOOTSTRAPPER, "join-service"]);
    await node.write("/etc/bootstrapper/containerd.toml", CONTAINERD_CONFIGURATION);
    node.start(["containerd", "--config", "/etc/bootstrapper/containerd.toml"], { log: "containerd" });
    const images = join("/usr/local/sbin", EMPTY_IMAGES);
    const { code, output } = await node.run(["sh", "-euc", BOOT_SCRIPT, "sh", images], { log: "boot" });
    if (code !== 0) throw new Error(`${name} did not boot: ${output}`);
    return new RunMachine(node);
  }

  /** Ends the world, and removes the tools; the logs stay. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.world[Symbol.asyncDispose]();
    await Deno.remove(this.#toolbox, { recursive: true });
  }
}

/** A machine on which `bootstrapper run` is started and killed. */
export class RunMachine {
  #starts = 0;

  /** The node has booted. */
  constructor(readonly node: WorldNode) {}

  /** Starts the bootstrapper, as the unit would. */
  start(): BootstrapperProcess {
    return BootstrapperProcess.start(this.node, ["run", "--config", CONFIGURATION], `bootstrapper-${++this.#starts}`);
  }

  /** The text of a file on its disk, or `undefined`. */
  async file(path: string): Promise<string | undefined> {
    return await this.node.read(path).catch((error) => {
      if (error instanceof Deno.errors.NotFound) return undefined;
      throw error;
    });
  }

  /** Asks the stand-in for systemd. */
  async systemctl(...args: readonly string[]): Promise<void> {
    const { code, output } = await this.node.run(["systemctl", ...args]);
    if (code !== 0) throw new Error(`systemctl ${args.join(" ")} failed: ${output}`);
  }
}

const EMPTY_IMAGES = "empty-images.tar";

/** One image without content under every name that kubeadm asks for, as a docker-archive. */
async function makeEmptyImages(toolbox: string): Promise<void> {
  const work = await Deno.makeTempDir();
  try {
    await Deno.mkdir(join(work, "root"));
    await capture(["tar", "-cf", join(work, "layer.tar"), "-C", join(work, "root"), "."]);
    const [digest = ""] = (await capture(["sha256sum", join(work, "layer.tar")])).split(" ");
    const config = {
      architecture: "amd64",
      os: "linux",
      config: {},
      rootfs: { type: "layers", diff_ids: [`sha256:${digest}`] },
    };
    await Deno.writeTextFile(join(work, "config.json"), JSON.stringify(config));
    const manifest = [{ Config: "config.json", RepoTags: containerImageReferences, Layers: ["layer.tar"] }];
    await Deno.writeTextFile(join(work, "manifest.json"), JSON.stringify(manifest));
    const members = ["manifest.json", "config.json", "layer.tar"];
    await capture(["tar", "-cf", join(toolbox, EMPTY_IMAGES), "-C", work, ...members]);
  } finally {
    await Deno.remove(work, { recursive: true });
  }
}

/** Deno wants to know where its cache is; a service gets no environment but `PATH`. */
async function writeUnit(node: WorldNode, name: string, argv: readonly string[]): Promise<void> {
  const environment = ["HOME", "DENO_DIR"].flatMap((variable) => {
    const value = Deno.env.get(variable);
    return value === undefined ? [] : [`export ${variable}='${value}'`];
  });
  const lines = ["#!/bin/sh", ...environment, `exec ${argv.map((argument) => `'${argument}'`).join(" ")}`, ""];
  await node.write(`${UNITS}/${name}`, lines.join("\n"), 0o700);
}
