import { dirname, join } from "node:path";
import { type CommandRunner, systemCommands } from "../platform/command.ts";
import { type Holder, inside, startHolder } from "./_world_process.ts";
import { DENO_RUN } from "./deno_run.ts";
import type { WorldNetwork } from "./_world_network.ts";
import { capture } from "./tools/run.ts";

/** Folders that survive a reboot: those that kubeadm, the kubelet, etcd and the bootstrapper write. */
const DISK_FOLDERS = [
  "/etc/kubernetes",
  "/etc/bootstrapper",
  "/var/lib/kubelet",
  "/var/lib/etcd",
  "/var/lib/bootstrapper",
];
/** Folders in memory. */
const MEMORY_FOLDERS = ["/run"];
/** First on every program's `PATH`, and empty on a Debian machine. */
const BINARIES_FOLDER = "/usr/local/sbin";

const DEFAULT_DEADLINE_MS = 180_000;

/** What a node is made of. */
export interface WorldNodeParts {
  /** Its name and host name. */
  readonly name: string;
  /** Its address. */
  readonly ip: string;
  /** The folder of its disk on the host. */
  readonly folder: string;
  /** The folder of the world's logs. */
  readonly logs: string;
  /** What it is plugged into. */
  readonly network: WorldNetwork;
  /** The folder of programs that come first on its `PATH`. */
  readonly binaries: string | undefined;
}

/** How a program is run on a node. */
export interface NodeCommandOptions {
  /** Added to the test's environment. */
  readonly env?: Readonly<Record<string, string>>;
  /** After this many milliseconds the program is killed. Default: three minutes. */
  readonly deadlineMs?: number;
  /** The name of the log file. Default: the program's name and a number. */
  readonly log?: string;
}

/** How a program on a node ended. */
export interface NodeCommandResult {
  /** The exit code. */
  readonly code: number;
  /** Standard output and standard error, as they came. */
  readonly output: string;
}

/** A program that runs on a node. */
export interface NodeProcess {
  /** The file with its standard output and standard error. */
  readonly log: string;
  /** Settles when it has ended. */
  readonly ended: Promise<NodeCommandResult>;
  /** Sends a signal to the program and all that it started (its process group), by default SIGKILL, as `systemctl kill` does. */
  kill(signal?: Deno.Signal): Promise<void>;
}

/** A machine of the test world. */
export class WorldNode {
  /** Its name and host name. */
  readonly name: string;
  /** Its address on the world's network. */
  readonly ip: string;
  readonly #parts: WorldNodeParts;
  #holder: Holder | undefined;
  #started = 0;

  /** Powered off; `World.node()` makes nodes. */
  constructor(parts: WorldNodeParts) {
    this.name = parts.name;
    this.ip = parts.ip;
    this.#parts = parts;
  }

  /** Where a path of the node is on the host; only for the folders that the node keeps on disk. */
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

  /** Boots the node: namespaces, disk, network. No program runs yet. */
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
    // Nothing outside answers a name, and waiting for it costs seconds.
    await Deno.writeTextFile(join(this.#parts.folder, "hosts"), `127.0.0.1 localhost\n${this.ip} ${this.name}\n`);
    await Deno.writeTextFile(join(this.#parts.folder, "resolv.conf"), "");
    for (const name of ["hosts", "resolv.conf"]) {
      mounts.push(`mount --bind '${join(this.#parts.folder, name)}' /etc/${name}`);
    }
    const logs = join(this.#parts.logs, `${this.name}-var-log`);
    await Deno.mkdir(logs, { recursive: true });
    mounts.push(`mount --bind '${logs}' /var/log`);
    await capture(inside(holder, ["sh", "-ec", [`hostname ${this.name}`, ...mounts].join("\n")]));
    await this.#parts.network.attach(holder, this.ip);
  }

  /** Cuts the power: every process of the node ends at once; the disk stays as it is. */
  async powerOff(): Promise<void> {
    if (this.#holder === undefined) return;
    // The plug first: then nothing that the dying processes still do is seen outside.
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
   * Runs programs on the node for code that is handed a CommandRunner. Paths that the code itself reads or writes are the
   * host's: {@linkcode path} translates, and `/tmp` is the same on both.
   */
  get commands(): CommandRunner {
    return { run: (argv, options) => systemCommands.run(this.#argv(argv), options) };
  }

  #argv(argv: readonly string[]): [string, ...string[]] {
    if (this.#holder === undefined) throw new Error(`${this.name} is powered off`);
    const onNode = inside(this.#holder, ["setsid", "setpriv", "--pdeathsig", "KILL", ...argv]);
    return ["setpriv", "--pdeathsig", "KILL", ...onNode];
  }

  /** Runs the stand-in for the kubelet, which starts the static Pods as processes once the node is configured. */
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
