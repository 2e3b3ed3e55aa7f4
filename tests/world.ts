/**
 * A small world for tests: nodes that are namespaces, connected by a bridge, on which real programs run natively.
 *
 * A node has its own mount, network, UTS and PID namespace. The node's disk is a folder of the world that is bound into
 * the node, so it outlives {@linkcode WorldNode.powerOff}, and a test reads it with {@linkcode WorldNode.path}. All
 * processes depend on the test's process, through `PR_SET_PDEATHSIG` and PID namespaces: however the test ends, all of
 * them end, and the namespaces and the network disappear with them.
 *
 * @module
 */
import { dirname, join } from "node:path";
import { createNetwork, type WorldNetwork } from "./_world_network.ts";
import { startHolder } from "./_world_process.ts";
import { prepareWorldFolder } from "./_world_folder.ts";
import { WorldNode } from "./world_node.ts";

/** The options of {@linkcode World.create}. */
export interface WorldOptions {
  /** The folder with kubeadm, etcd, kube-apiserver and the other programs. Default: only the host's programs. */
  readonly binaries?: string;
}

/** Nodes on a network of their own. */
export class World implements AsyncDisposable {
  /** The folder with one log file for each process. It is kept when the world ends. */
  readonly logs: string;
  readonly #folder: string;
  readonly #network: WorldNetwork;
  readonly #binaries: string | undefined;
  readonly #nodes = new Map<string, WorldNode>();

  private constructor(folder: string, network: WorldNetwork, binaries: string | undefined) {
    this.#folder = folder;
    this.logs = join(folder, "logs");
    this.#network = network;
    this.#binaries = binaries;
  }

  /** Makes an empty world. Needs root. */
  static async create(options: WorldOptions = {}): Promise<World> {
    const folder = await prepareWorldFolder();
    const holder = await startHolder(["--net"]);
    return new World(folder, await createNetwork(holder), options.binaries);
  }

  /** The address of the test itself, as the nodes see it. */
  get operatorAddress(): string {
    return this.#network.operatorAddress;
  }

  /**
   * Returns the node of that name. The first call makes the node and powers it on.
   *
   * @param name An RFC 1123 label, which is also the host name.
   */
  async node(name: string): Promise<WorldNode> {
    const known = this.#nodes.get(name);
    if (known !== undefined) return known;
    const node = new WorldNode({
      name,
      ip: this.#network.addressOf(this.#nodes.size),
      folder: join(this.#folder, "nodes", name),
      logs: this.logs,
      network: this.#network,
      binaries: this.#binaries,
    });
    this.#nodes.set(name, node);
    await node.powerOn();
    return node;
  }

  /** Ends every process of the world, and removes everything except the logs. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (const node of this.#nodes.values()) await node.powerOff();
    await this.#network[Symbol.asyncDispose]();
    await Deno.remove(join(this.#folder, "nodes"), { recursive: true });
  }
}

/** The absolute path of the repository's root. */
export const repositoryRoot: string = dirname(dirname(new URL(import.meta.url).pathname));
