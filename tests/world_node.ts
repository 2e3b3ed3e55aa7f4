import { dirname, join } from "node:path";
import { type CommandRunner, systemCommands } from "../platform/command.ts";
import { type Holder, inside, startHolder } from "./_world_process.ts";
import { DENO_RUN } from "./deno_run.ts";
import type { WorldNetwork } from "./_world_network.ts";
import { capture } from "./tools/run.ts";

/** Folders that survive a reboot: those to which kubeadm, the kubelet, etcd and the bootstrapper write. */
const DISK_FOLDERS = [
  "/etc/kubernetes",
  "/etc/bootstrapper",
  "/var/lib/kubelet",
  "/var/lib/etcd",
  "/var/lib/bootstrapper",
];
/** Folders in memory. */
const MEMORY_FOLDERS = ["/run"];
/** The users of `deploy/sysusers.conf`. */
const USERS: Readonly<Record<"passwd" | "group", string>> = {
  passwd: ["front:x:64001", "signer:x:64002"].map((user) => `bootstrapper-${user}:64000::/:/usr/sbin/nologin\n`).join(
    "",
  ),
  group: "bootstrapper-join:x:64000:\n",
};
/**
 * Lets users other than root reach Deno and its cache, which are in root's home here. The home itself stays closed on
 * the host.
 */
const READABLE_HOME = `
home=\${HOME:-/root}
mkdir -p /run/home
mount -t tmpfs -o mode=755 home /run/home
for entry in "$home"/* "$home"/.[!.]*; do
  [ -e "$entry" ] || continue
  target=/run/home/\${entry##*/}
  if [ -d "$entry" ]; then mkdir "$target"; else touch "$target"; fi
  mount --bind "$entry" "$target"
done
mount --rbind /run/home "$home"`;
/** The first folder on every program's `PATH`. It is empty on a Debian machine. */
const BINARIES_FOLDER = "/usr/local/sbin";

const DEFAULT_DEADLINE_MS = 180_000;

/** The parts from which a node is made. */
export interface WorldNodeParts {
  /** The node's name, which is also its host name. */
  readonly name: string;
  readonly ip: string;
  /** The folder on the host with the node's disk. */
  readonly folder: string;
  /** The folder with the world's logs. */
  readonly logs: string;
  /** The network that the node is connected to. */
  readonly network: WorldNetwork;
  /** A folder of programs that comes first on the node's `PATH`. */
  readonly binaries: string | undefined;
}

/** The options for running a program on a node. */
export interface NodeCommandOptions {
  /** Variables that are added to the test's environment. */
  readonly env?: Readonly<Record<string, string>>;
  /** The program is killed after this many milliseconds. Default: three minutes. */
  readonly deadlineMs?: number;
  /** The name of the log file. Default: the program's name and a number. */
  readonly log?: string;
}

/** How a program on a node ended. */
export interface NodeCommandResult {
  readonly code: number;
  /** Standard output and standard error, interleaved as they arrived. */
  readonly output: string;
}

/** A program that runs on a node. */
export interface NodeProcess {
  /** The file with the program's standard output and standard error. */
  readonly log: string;
  /** Settles when the program has ended. */
  readonly ended: Promise<NodeCommandResult>;
  /**
   * Sends a signal to the program and all processes that it started (its process group), as `systemctl kill` does; by
   * default SIGKILL.
   */
  kill(signal?: Deno.Signal): Promise<void>;
}

/** A machine of the test world. */
export class WorldNode {
  /** The node's name, which is also its host name. */
  readonly name: string;
  readonly ip: string;
  readonly #parts: WorldNodeParts;
  #holder: Holder | undefined;
  #started = 0;

  /** Makes a node that is powered off. Tests call `World.node()` instead. */
  constructor(parts: WorldNodeParts) {
    this.name = parts.name;
    this.ip = parts.ip;
    this.#parts = parts;
  }

  /** Translates a path on the node to a path on the host; only for the folders that are on the node's disk. */
  path(pathOnNode: string): string {
    if (!DISK_FOLDERS.some((folder) => pathOnNode === folder || pathOnNode.startsWith(`${folder}/`))) {
      throw new Error(`${pathOnNode} is not on the node's disk: ${DISK_FOLDERS.join(", ")} are`);
    }
    return join(this.#parts.folder, pathOnNode);
  }

  /** Writes a file on the node's disk. */
  async write(pathOnNode: string, content: string | Uint8Array, mode = 0o600): Promise<void> {
    const path = this.path(pathOnNode);
    await Deno.mkdir(dirname(path), { recursive: true });
    await (typeof content === "string"
      ? Deno.writeTextFile(path, content, { mode })
      : Deno.writeFile(path, content, { mode }));
  }

  /** Reads a text file from the node's disk. */
  read(pathOnNode: string): Promise<string> {
    return Deno.readTextFile(this.path(pathOnNode));
  }

  /** Boots the node: namespaces, disk, network. No program is started. */
  async powerOn(): Promise<void> {
    if (this.#holder !== undefined) return;
    const holder = await startHolder(["--mount", "--net", "--uts"]);
    this.#holder = holder;
    const mounts: string[] = [];
    for (const folder of DISK_FOLDERS) {
      await Deno.mkdir(join(this.#parts.folder, folder), { recursive: true });
      await Deno.mkdir(folder, { recursive: true });
      mounts.push(`mount --bind '${join(this.#parts.folder, folder)}' ${folder}`);
    }
    for (const folder of MEMORY_FOLDERS) mounts.push(`mount -t tmpfs node ${folder}`);
    if (this.#parts.binaries !== undefined) {
      mounts.push(`mount --bind '${await Deno.realPath(this.#parts.binaries)}' ${BINARIES_FOLDER}`);
    }
    // No DNS server answers, and waiting for one takes seconds.
    await Deno.writeTextFile(join(this.#parts.folder, "hosts"), `127.0.0.1 localhost\n${this.ip} ${this.name}\n`);
    await Deno.writeTextFile(join(this.#parts.folder, "resolv.conf"), "");
    for (const name of ["passwd", "group"] as const) {
      const own = await Deno.readTextFile(`/etc/${name}`);
      await Deno.writeTextFile(join(this.#parts.folder, name), own + USERS[name]);
      await Deno.chmod(join(this.#parts.folder, name), 0o644);
    }
    for (const name of ["hosts", "resolv.conf", "passwd", "group"]) {
      mounts.push(`mount --bind '${join(this.#parts.folder, name)}' /etc/${name}`);
    }
    mounts.push(READABLE_HOME);
    const logs = join(this.#parts.logs, `${this.name}-var-log`);
    await Deno.mkdir(logs, { recursive: true });
    mounts.push(`mount --bind '${logs}' /var/log`);
    await capture(inside(holder, ["sh", "-ec", [`hostname ${this.name}`, ...mounts].join("\n")]));
    await this.#parts.network.attach(holder, this.ip);
  }

  /** Cuts the power: every process of the node ends at once, and the disk stays unchanged. */
  async powerOff(): Promise<void> {
    if (this.#holder === undefined) return;
    // The network is disconnected first, so that nothing the dying processes do is visible outside.
    await this.#parts.network.detach(this.ip);
    await this.#holder[Symbol.asyncDispose]();
    this.#holder = undefined;
  }

  /** Starts a program on the node. */
  start(argv: readonly [string, ...string[]], options: NodeCommandOptions = {}): NodeProcess {
    const program = argv[0].split("/").at(-1) ?? argv[0];
    const log = join(this.#parts.logs, `${this.name}-${options.log ?? `${program}-${++this.#started}`}.log`);
    const [command, ...args] = this.#argv(argv);
    const child = new Deno.Command(command, {
      args,
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
      ...(options.env === undefined ? {} : { env: { ...options.env } }),
    }).spawn();
    const kill = async (signal: Deno.Signal = "SIGKILL") => {
      const group = (await Deno.readTextFile(`/proc/${child.pid}/task/${child.pid}/children`).catch(() => "")).trim();
      if (group === "") return;
      await new Deno.Command("kill", { args: [`-${signal.slice(3)}`, "--", `-${group}`], stderr: "null" }).output();
    };
    return { log, kill, ended: follow(child, log, kill, options.deadlineMs) };
  }

  /** Runs a program on the node to its end. */
  run(argv: readonly [string, ...string[]], options: NodeCommandOptions = {}): Promise<NodeCommandResult> {
    return this.start(argv, { deadlineMs: DEFAULT_DEADLINE_MS, ...options }).ended;
  }

  /**
   * Runs programs on the node for code that takes a CommandRunner. Paths that the code itself reads or writes are paths
   * on the host: {@linkcode path} translates them, and `/tmp` is the same on both.
   */
  get commands(): CommandRunner {
    return { run: (argv, options) => systemCommands.run(this.#argv(argv), options) };
  }

  #argv(argv: readonly string[]): [string, ...string[]] {
    if (this.#holder === undefined) throw new Error(`${this.name} is powered off`);
    const onNode = inside(this.#holder, ["setsid", "setpriv", "--pdeathsig", "KILL", ...argv]);
    return ["setpriv", "--pdeathsig", "KILL", ...onNode];
  }

  /** Runs the stand-in for the kubelet. It starts the static Pods as processes once the node is configured. */
  startKubeletStandIn(): NodeProcess {
    const script = new URL("./kubelet_stand_in.ts", import.meta.url).pathname;
    return this.start([...DENO_RUN, script], { log: "kubelet-stand-in" });
  }
}

async function follow(
  child: Deno.ChildProcess,
  log: string,
  kill: () => Promise<void>,
  deadlineMs: number | undefined,
): Promise<NodeCommandResult> {
  const timer = deadlineMs === undefined ? undefined : setTimeout(kill, deadlineMs);
  using file = await Deno.open(log, { create: true, append: true });
  const parts: Uint8Array[] = [];
  const copy = async (stream: ReadableStream<Uint8Array>) => {
    for await (const chunk of stream) {
      parts.push(chunk);
      await file.write(chunk);
    }
  };
  const [{ code }] = await Promise.all([child.status, copy(child.stdout), copy(child.stderr)]);
  clearTimeout(timer);
  return {
    code,
    output: new TextDecoder().decode(await new Blob(parts.map((part) => new Uint8Array(part))).arrayBuffer()),
  };
}
