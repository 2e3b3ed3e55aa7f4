/**
 * Follows a name, and prints the addresses as JSON, one line for each change.
 *
 * @module
 */
import { followAddresses, systemResolve } from "../../../founding/discovery.ts";
import { systemClock } from "../../../platform/clock.ts";
import { createLog } from "../../../platform/log.ts";

const print = (line: string) => void Deno.stdout.writeSync(new TextEncoder().encode(`${line}\n`));
const [host = ""] = Deno.args;
await followAddresses({
  peers: [{ host, port: 9443 }],
  resolve: systemResolve,
  clock: systemClock,
  log: createLog(systemClock, print),
  onAddresses: (addresses) => print(JSON.stringify(addresses.map((endpoint) => endpoint.host))),
}, new AbortController().signal);
