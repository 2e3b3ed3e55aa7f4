import { join } from "node:path";
import { stringify } from "yaml";
import { JOIN_SERVICE_PORT } from "../../../node/join_service_install.ts";
import { present } from "../../../platform/present.ts";
import { DENO_RUN } from "../../deno_run.ts";
import { containerImageReferences } from "../../tools/container_images.ts";
import { prepareBinaries } from "../../tools/prepare_binaries.ts";
import { capture } from "../../tools/run.ts";
import { repositoryRoot, World } from "../../world.ts";
import type { WorldNode } from "../../world_node.ts";
import type { CrashPoint, HarmedRun } from "../crash/crash_points.ts";
import { JOIN_SERVICE_PROGRAMS, proverProgram } from "./_run_join_service.ts";
import { BOOTSTRAPPER, BootstrapperProcess, CRASHING_RUN } from "./run_process.ts";

/** The settings of a node's configuration besides those that all nodes share. */
export interface MachineOptions {
  /** Whether the node waits for an operator's init. */
  readonly init: boolean;
  /** The names of the machines from which the node requests a ticket. */
  readonly joinAt?: readonly string[];
  /** The join services themselves, `host:port`, instead of machines. */
  readonly joinEndpoints?: readonly string[];
  /** The role that the node requests. Default: worker. */
  readonly role?: "control-plane" | "worker";
  /** The node's name, if the configuration names it. */
  readonly nodeName?: string;
  /** The node's addresses, if the configuration names them. */
  readonly address?: string;
  /** The networks in which the node's addresses are, if the configuration names them. */
  readonly addressFrom?: string;
  /** What the configuration says of founding among equals, and the founding token. */
  readonly founding?: FoundingOptions;
  /** The socket of the software TPM. Default: no TPM, so that the evidence proves nothing. */
  readonly tpm?: string;
}

/** How a machine founds a cluster among equals, or joins one that was founded so. */
export interface FoundingOptions {
  /** `trust.founding`. */
  readonly trust: Readonly<Record<string, unknown>>;
  /** `founding`; absent on a machine that only joins. */
  readonly own?: Readonly<Record<string, unknown>>;
  /** The founding token, for the credential. */
  readonly token?: string;
}

/** The options of {@linkcode RunWorld.create}. */
export interface RunWorldOptions {
  /**
   * Whether the machines' kubeadm is the real one behind a wrapper that kills it; see `_kubeadm_killing_wrapper.sh`.
   */
  readonly killsKubeadm?: boolean;
}

/** How a run differs from the usual one. */
export type RunChanges = Omit<HarmedRun, "config" | "tpm">;

/** The name of every cluster of these tests. */
export const CLUSTER_NAME = "test";
const CONFIGURATION = "/etc/bootstrapper/config.yaml";
const UNITS = "/etc/bootstrapper/units";
const CREDENTIALS = "/run/credentials/bootstrapper.service";
const CONTAINERD_CONFIGURATION = `version = 3
root = '/run/containerd-root'
state = '/run/containerd'
[grpc]
address = '/run/containerd/containerd.sock'
`;
/**
 * Sets up what a machine has after its boot and a namespace lacks: forwarding, control groups of version 2, and
 * containerd with the images. If the host has control groups of version 1, the script mounts a hierarchy of version 2
 * without controllers, and puts over it a file that names some, as kubeadm reads it. The images are names of one empty
 * image.
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

/** A world whose machines have the same files as the image of a node. */
export class RunWorld implements AsyncDisposable {
  readonly #toolbox: string;

  private constructor(readonly world: World, toolbox: string) {
    this.#toolbox = toolbox;
  }

  /** Makes a world without machines. */
  static async create({ killsKubeadm = false }: RunWorldOptions = {}): Promise<RunWorld> {
    const toolbox = await Deno.makeTempDir({ prefix: "bootstrapper-toolbox-" });
    const { dir } = await prepareBinaries();
    for await (const { name } of Deno.readDir(dir)) await Deno.symlink(join(dir, name), join(toolbox, name));
    await putProgram(toolbox, "systemctl", "_run_systemctl_stand_in.sh");
    if (killsKubeadm) {
      await Deno.rename(join(toolbox, "kubeadm"), join(toolbox, "kubeadm-real"));
      await putProgram(toolbox, "kubeadm", "../crash/_kubeadm_killing_wrapper.sh");
    }
    await Deno.rename(join(toolbox, "ctr"), join(toolbox, "ctr-real"));
    await putProgram(toolbox, "ctr", "_run_ctr_stand_in.sh");
    await makeEmptyImages(toolbox);
    return new RunWorld(await World.create({ binaries: toolbox }), toolbox);
  }

  /** Makes a machine that has booted, and whose bootstrapper has not started. */
  async machine(name: string, operatorKey: string, options: MachineOptions): Promise<RunMachine> {
    const node = await this.world.node(name);
    const services = await Promise.all((options.joinAt ?? []).map((other) => this.world.node(other)));
    await node.write(
      CONFIGURATION,
      stringify({
        version: 1,
        trust: {
          clusterName: CLUSTER_NAME,
          operatorKeys: operatorKey === "" ? [] : [operatorKey],
          ...present("founding", options.founding?.trust),
        },
        ...present("node", nodeOf(options)),
        evidence: options.tpm === undefined
          ? { variant: "none", allowInsecure: true }
          : { variant: "tpm", ekType: "rsa2048" },
        ...(options.founding === undefined ? { init: { enabled: options.init } } : {}),
        ...present("founding", options.founding?.own),
        join: { endpoints: options.joinEndpoints ?? services.map(({ ip }) => `${ip}:${JOIN_SERVICE_PORT}`) },
        allowUnmeasuredImage: true,
      }),
    );
    await writeUnit(node, "kubelet", [...DENO_RUN, `${repositoryRoot}/tests/kubelet_stand_in.ts`]);
    const programs = { ...JOIN_SERVICE_PROGRAMS, ...(options.tpm === undefined ? {} : proverProgram(options.tpm)) };
    for (const [unit, program] of Object.entries(programs)) await writeUnit(node, unit, program);
    await node.write("/etc/bootstrapper/containerd.toml", CONTAINERD_CONFIGURATION);
    node.start(["containerd", "--config", "/etc/bootstrapper/containerd.toml"], { log: "containerd" });
    const images = join("/usr/local/sbin", EMPTY_IMAGES);
    const { code, output } = await node.run(["sh", "-euc", BOOT_SCRIPT, "sh", images], { log: "boot" });
    if (code !== 0) throw new Error(`${name} did not boot: ${output}`);
    return new RunMachine(node, options.tpm, options.founding?.token);
  }

  /**
   * Gives all machines other programs, as new packages do: a process that runs stays as it is. Machines that boot from
   * now on have images of these names too.
   *
   * @param folder The programs, which replace those of the same names.
   */
  async install(folder: string | undefined, images: readonly string[]): Promise<void> {
    if (folder !== undefined) {
      for await (const { name } of Deno.readDir(folder)) {
        const fresh = join(this.#toolbox, `.${name}.new`);
        await Deno.symlink(join(folder, name), fresh);
        await Deno.rename(fresh, join(this.#toolbox, name));
      }
    }
    await makeEmptyImages(this.#toolbox, [...new Set([...containerImageReferences, ...images])]);
  }

  /** Ends the world, and removes the tools. The logs are kept. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.world[Symbol.asyncDispose]();
    await Deno.remove(this.#toolbox, { recursive: true });
  }
}

function nodeOf(options: MachineOptions): Readonly<Record<string, string>> | undefined {
  const { nodeName, role, address, addressFrom } = options;
  const node = {
    ...{ ...present("name", nodeName), ...present("role", role) },
    ...{ ...present("address", address), ...present("addressFrom", addressFrom) },
  };
  return Object.keys(node).length === 0 ? undefined : node;
}

/** A machine on which `bootstrapper run` is started and killed. */
export class RunMachine {
  #starts = 0;
  #running: BootstrapperProcess | undefined;

  readonly #tpm: string | undefined;
  readonly #token: string | undefined;

  /** The node has already booted. */
  constructor(readonly node: WorldNode, tpm?: string, token?: string) {
    this.#tpm = tpm;
    this.#token = token;
  }

  /** Starts the bootstrapper as the unit would, with a failure at `point` or otherwise changed, if that is given. */
  start(point?: CrashPoint, changes: RunChanges = {}): BootstrapperProcess {
    const running = this.#start(`bootstrapper-${++this.#starts}`, { ...changes, ...present("point", point) });
    this.#running = running;
    return running;
  }

  /** Kills the latest bootstrapper, and all processes that it started. */
  async kill(): Promise<void> {
    await this.#running?.kill();
  }

  #start(log: string, changes: RunChanges): BootstrapperProcess {
    const run: HarmedRun = { config: CONFIGURATION, ...present("tpm", this.#tpm), ...changes };
    const argv = Object.keys(run).length > 1
      ? [...CRASHING_RUN, JSON.stringify(run)] as const
      : [...BOOTSTRAPPER, "run", "--config", CONFIGURATION] as const;
    if (this.#token === undefined) return BootstrapperProcess.startProgram(this.node, argv, log);
    const script = 'umask 077; mkdir -p "$0"; printf %s "$1" >"$0/bootstrapper.token"; shift; exec "$@"';
    const env = ["env", `CREDENTIALS_DIRECTORY=${CREDENTIALS}`] as const;
    const given = ["sh", "-euc", script, CREDENTIALS, this.#token, ...env, ...argv] as const;
    return BootstrapperProcess.startProgram(this.node, given, log);
  }

  /** The text of a file on the machine's disk, or `undefined` if it does not exist. */
  async file(path: string): Promise<string | undefined> {
    return await this.node.read(path).catch((error) => {
      if (error instanceof Deno.errors.NotFound) return undefined;
      throw error;
    });
  }

  /** The text of a file that must exist on the machine, even if something is mounted over its disk. */
  async text(path: string): Promise<string> {
    const { code, output } = await this.node.run(["cat", path]);
    if (code !== 0) throw new Error(`${this.node.name} has no ${path}: ${output}`);
    return output;
  }

  /** Runs a shell script, which must succeed. */
  async shell(script: string): Promise<void> {
    const { code, output } = await this.node.run(["sh", "-euc", script]);
    if (code !== 0) throw new Error(`On ${this.node.name} this failed: ${script}: ${output}`);
  }

  /** Calls the stand-in for systemd. */
  async systemctl(...args: readonly string[]): Promise<void> {
    const { code, output } = await this.node.run(["systemctl", ...args]);
    if (code !== 0) throw new Error(`systemctl ${args.join(" ")} failed: ${output}`);
  }
}

const EMPTY_IMAGES = "empty-images.tar";

/** Makes a docker-archive with one empty image under every name. The names are those that kubeadm requires. */
async function makeEmptyImages(
  toolbox: string,
  references: readonly string[] = containerImageReferences,
): Promise<void> {
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
    const manifest = [{ Config: "config.json", RepoTags: references, Layers: ["layer.tar"] }];
    await Deno.writeTextFile(join(work, "manifest.json"), JSON.stringify(manifest));
    const members = ["manifest.json", "config.json", "layer.tar"];
    await capture(["tar", "-cf", join(toolbox, EMPTY_IMAGES), "-C", work, ...members]);
  } finally {
    await Deno.remove(work, { recursive: true });
  }
}

async function putProgram(toolbox: string, name: string, script: string): Promise<void> {
  await Deno.copyFile(join(import.meta.dirname ?? ".", script), join(toolbox, name));
  await Deno.chmod(join(toolbox, name), 0o755);
}

/** Writes a unit for the stand-in of systemctl. Deno needs the location of its cache, and a service gets no environment except `PATH`. */
export async function writeUnit(node: WorldNode, name: string, argv: readonly string[]): Promise<void> {
  const environment = ["HOME", "DENO_DIR"].flatMap((variable) => {
    const value = Deno.env.get(variable);
    return value === undefined ? [] : [`export ${variable}='${value}'`];
  });
  const lines = ["#!/bin/sh", ...environment, `exec ${argv.map((argument) => `'${argument}'`).join(" ")}`, ""];
  await node.write(`${UNITS}/${name}`, lines.join("\n"), 0o700);
}
