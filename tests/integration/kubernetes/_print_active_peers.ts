/** Prints the members with which the etcd of this machine is connected, as JSON. */
import { activePeers } from "../../../kubernetes/etcd_peers.ts";

await Deno.stdout.write(new TextEncoder().encode(`${JSON.stringify([...await activePeers()])}\n`));
