import assert from "node:assert/strict";
import { endpointText } from "../platform/endpoint.ts";
import { BootstrapError } from "../platform/errors.ts";
import { MAXIMUM_OF_SOURCE } from "../platform/follow_endpoints.ts";
import type { Log } from "../platform/log.ts";
import { followAddresses, RESOLVE_INTERVAL_MS } from "./discovery.ts";

type Answer = readonly string[] | Error;

/** Follows a name through answers, and returns what was told and logged. */
async function follow(answers: readonly Answer[], peers = [{ host: "founders.example", port: 9443 }]) {
  const told: string[][] = [];
  const lines: string[] = [];
  const slept: number[] = [];
  const stop = new AbortController();
  const log: Log = { event: (_level, name) => void lines.push(name), with: () => log };
  let asked = 0;
  const running = followAddresses({
    peers,
    resolve: () => {
      const answer = answers[asked++] ?? [];
      return answer instanceof Error ? Promise.reject(answer) : Promise.resolve(answer);
    },
    clock: {
      sleep: (ms) => {
        slept.push(ms);
        if (asked >= answers.length) stop.abort(new BootstrapError("aborted/run", "over"));
        return stop.signal.aborted ? Promise.reject(stop.signal.reason) : Promise.resolve();
      },
    },
    log,
    onAddresses: (addresses) => void told.push(addresses.map(endpointText)),
  }, stop.signal);
  await assert.rejects(running, { code: "aborted/run" });
  return { told, lines, slept };
}

Deno.test("followAddresses() tells of addresses that come and go, of both families, with one line for each change", async () => {
  const { told, lines, slept } = await follow([
    ["192.0.2.2", "2001:db8::2", "192.0.2.1"],
    ["2001:db8::2", "192.0.2.1", "192.0.2.2", "192.0.2.2"],
    ["192.0.2.2", "192.0.2.3"],
  ]);
  assert.deepEqual(told, [
    [],
    ["192.0.2.1:9443", "192.0.2.2:9443", "[2001:db8::2]:9443"],
    ["192.0.2.2:9443", "192.0.2.3:9443"],
  ]);
  assert.deepEqual(lines, ["founders-resolved", "founders-resolved"]);
  assert.deepEqual(slept, [RESOLVE_INTERVAL_MS, RESOLVE_INTERVAL_MS, RESOLVE_INTERVAL_MS]);
});

Deno.test("followAddresses() keeps the last answer while there is none, and says why once", async () => {
  const { told, lines } = await follow([
    new Error("not found"),
    new Error("not found"),
    ["192.0.2.1"],
    new Error("no answer"),
    new Error("no answer"),
    ["192.0.2.1"],
  ]);
  assert.deepEqual(told, [[], ["192.0.2.1:9443"]]);
  assert.deepEqual(lines, ["founders-not-resolved", "founders-resolved", "founders-not-resolved", "founders-resolved"]);
});

Deno.test("followAddresses() uses at most 64 addresses of a name, and none with a zone", async () => {
  const { told } = await follow([["fe80::1%eth0", ...[...Array(70).keys()].map((index) => `10.0.0.${index}`)]]);
  assert.equal(told.at(-1)?.length, MAXIMUM_OF_SOURCE);
});

Deno.test("followAddresses() takes a list of addresses and names together, each address once", async () => {
  const { told } = await follow([["192.0.2.1", "192.0.2.2"]], [
    { host: "192.0.2.1", port: 9443 },
    { host: "founders.example", port: 9443 },
    { host: "192.0.2.1", port: 1 },
  ]);
  assert.deepEqual(told, [
    ["192.0.2.1:9443", "192.0.2.1:1"],
    ["192.0.2.1:9443", "192.0.2.1:1", "192.0.2.2:9443"],
  ]);
});
