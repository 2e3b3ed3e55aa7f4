/**
 * The front of a join service as a process of its own, whose servers with documents have a CA of the test's.
 *
 * Arguments: the signer's socket, and a file with the CA's certificate.
 *
 * @module
 */
import { systemClock } from "../../platform/clock.ts";
import { silentLog } from "../../platform/log.ts";
import { closeProcessNetwork } from "../../platform/process_network.ts";
import { runJoinFront } from "../front.ts";

closeProcessNetwork(Deno.env);
const [socket = "", caFile = ""] = Deno.args;
const dialer = `${socket}.etcd`;
await runJoinFront({
  ...{ listen: { host: "127.0.0.1", port: 0 }, socket, dialer, clock: systemClock, log: silentLog },
  documentCas: [await Deno.readTextFile(caFile)],
}, new AbortController().signal);
