import { type Holder, inNetwork } from "./_world_process.ts";
import { capture } from "./tools/run.ts";

/** A bridge in its own namespace, with a connection to the host. */
export interface WorldNetwork extends AsyncDisposable {
  /** The host's address on the bridge. */
  readonly operatorAddress: string;
  /** The address of the node with that index. */
  addressOf(index: number): string;
  /** Connects a node's namespace to the bridge. */
  attach(node: Holder, address: string): Promise<void>;
  /** Disconnects the node with that address. */
  detach(address: string): Promise<void>;
}

const FIRST_NODE = 11;
const ATTEMPTS = 200;

/**
 * Claims a free `10.x.y.0/24`. The host's interface is named after the network, and names are unique, so creating the
 * interface claims the network.
 */
async function claimSubnet(holder: Holder): Promise<{ readonly prefix: string; readonly host: string }> {
  let problem: unknown;
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const [x = 0, y = 0] = crypto.getRandomValues(new Uint8Array(2));
    // Outside the Services' 10.96.0.0/12, which nodes must not use.
    const second = 112 + (x % 80);
    const host = `bsw-${second}-${y}`;
    try {
      await capture([
        ...["ip", "link", "add", host, "type", "veth", "peer", "name", "up0"] as const,
        ...["netns", String(holder.pid)],
      ]);
      return { prefix: `10.${second}.${y}`, host };
    } catch (error) {
      problem = error;
    }
  }
  throw new Error("Cannot make a network for the test world", { cause: problem });
}

/** Makes the bridge in the holder's namespace. The holder ends with the network. */
export async function createNetwork(holder: Holder): Promise<WorldNetwork> {
  const { prefix, host } = await claimSubnet(holder);
  await inNetwork(holder, ["ip", "link", "add", "br0", "type", "bridge"]);
  await inNetwork(holder, ["ip", "link", "set", "up0", "master", "br0", "up"]);
  await inNetwork(holder, ["ip", "link", "set", "br0", "up"]);
  await capture(["ip", "addr", "add", `${prefix}.1/24`, "dev", host]);
  await capture(["ip", "link", "set", host, "up"]);
  const portOf = (address: string) => `p${address.slice(prefix.length + 1)}`;
  return {
    operatorAddress: `${prefix}.1`,
    addressOf: (index) => `${prefix}.${FIRST_NODE + index}`,
    async attach(node, address) {
      const port = portOf(address);
      await inNetwork(holder, [
        "ip",
        "link",
        "add",
        port,
        "type",
        "veth",
        "peer",
        "name",
        "eth0",
        "netns",
        String(node.pid),
      ]);
      await inNetwork(holder, ["ip", "link", "set", port, "master", "br0", "up"]);
      await inNetwork(node, ["ip", "link", "set", "lo", "up"]);
      await inNetwork(node, ["ip", "addr", "add", `${address}/24`, "dev", "eth0"]);
      await inNetwork(node, ["ip", "link", "set", "eth0", "up"]);
      await inNetwork(node, ["ip", "route", "add", "default", "via", `${prefix}.1`]);
    },
    async detach(address) {
      await inNetwork(holder, ["ip", "link", "del", portOf(address)]);
    },
    [Symbol.asyncDispose]: () => holder[Symbol.asyncDispose](),
  };
}
