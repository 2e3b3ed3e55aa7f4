import { capture } from "../tools/run.ts";

/**
 * The addresses of every test network. Each network is in its own network namespace, so equal addresses do not
 * conflict.
 */
export const subnet = {
  /** The bridge's address. An operator's commands in the namespace come from it. */
  gateway: "10.77.0.1",
  prefixLength: 24,
} as const;

const bridge = "br0";

/** Makes a network namespace with a bridge, which gets the gateway's address. */
export async function createNetwork(namespace: string): Promise<void> {
  await capture(["ip", "netns", "add", namespace]);
  await ip(namespace, "link", "set", "lo", "up");
  await ip(namespace, "link", "add", bridge, "type", "bridge", "forward_delay", "0");
  await ip(namespace, "address", "add", `${subnet.gateway}/${subnet.prefixLength}`, "dev", bridge);
  await ip(namespace, "link", "set", bridge, "up");
}

/** Makes a tap device on the bridge for one VM. */
export async function addTap(namespace: string, tap: string): Promise<void> {
  await ip(namespace, "tuntap", "add", "dev", tap, "mode", "tap");
  await ip(namespace, "link", "set", tap, "master", bridge, "up");
}

/** Connects a VM to the network or disconnects it, as if its cable were plugged in or unplugged. */
export async function setLink(namespace: string, tap: string, up: boolean): Promise<void> {
  await ip(namespace, "link", "set", tap, up ? "up" : "down");
}

/** Deletes the namespace and everything in it, if it exists. */
export async function deleteNetwork(namespace: string): Promise<void> {
  const listed = await capture(["ip", "netns", "list"]);
  if (listed.split("\n").some((line) => line.split(" ")[0] === namespace)) {
    await capture(["ip", "netns", "delete", namespace]);
  }
}

/** The command line that runs `argv` in the namespace. */
export function inNamespace(namespace: string, argv: readonly string[]): [string, ...string[]] {
  return ["ip", "netns", "exec", namespace, ...argv];
}

async function ip(namespace: string, ...args: string[]): Promise<void> {
  await capture(["ip", "-n", namespace, ...args]);
}
