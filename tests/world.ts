/**
 * A small world for tests: nodes that are namespaces, joined by a bridge, in which real programs run natively.
 *
 * A node has a mount, network, UTS and PID namespace of its own. What a node keeps on disk is bound from a folder of the
 * world, so it outlives {@linkcode WorldNode.powerOff}, and a test reads it with {@linkcode WorldNode.path}. All
 * processes hang on the test's process by `PR_SET_PDEATHSIG` and PID namespaces: however the test ends, none is left,
 * and with them go the namespaces and the network.
 *
 * @module
 */
import { dirname, join } from "node:path";
import { createNetwork, type WorldNetwork } from "./_world_network.ts";
import { startHolder } from "./_world_process.ts";
import { prepareWorldFolder } from "./_world_folder.ts";
import { WorldNode } from "./world_node.ts";

/** How a world is made. */
export interface WorldOptions {
  /** The folder with kubeadm, etcd, kube-apiserver and the rest. Default: nothing but the host's programs. */
  readonly binaries?: string;
}

/** Nodes on a network of their own. */
export class World implements AsyncDisposable {
  /** The folder with one log file for each process. It stays after the end. */
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
   * The node of that name, which is made and powered on when it is asked for the first time.
   *
   * @param name An RFC 1123 label; also its host name.
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

  /** Ends every process of the world, and removes all but the logs. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (const node of this.#nodes.values()) await node.powerOff();
    await this.#network[Symbol.asyncDispose]();
    await Deno.remove(join(this.#folder, "nodes"), { recursive: true });
  }
}

/** The repository's root, an absolute path. */
export const repositoryRoot: string = dirname(dirname(new URL(import.meta.url).pathname));
