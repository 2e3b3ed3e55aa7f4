import assert from "node:assert/strict";
import type { EvidenceIssuer } from "../attestation/evidence.ts";
import { generateKeyPair } from "../certificate/keys.ts";
import { writePem } from "../certificate/pem.ts";
import type { Clock } from "../platform/clock.ts";
import { systemClock } from "../platform/clock.ts";
import type { CommandRunner } from "../platform/command.ts";
import { BootstrapError } from "../platform/errors.ts";
import { createLog } from "../platform/log.ts";
import { readNodeConfiguration } from "./configuration.ts";
import { nodePaths } from "./paths.ts";
import type { RunDependencies } from "./run.ts";
import { runNode } from "./run.ts";
import type { NodeStatus } from "./status.ts";
import { readStatus } from "./status.ts";

const operatorKey = writePem("PUBLIC KEY", (await generateKeyPair("ed25519")).spki);
const HOUR_MS = 3_600_000;

const issuer: EvidenceIssuer = {
  variant: "none",
  isChallenged: false,
  identityIsKey: true,
  issue: () => Promise.resolve({ variant: "none", payload: new Uint8Array() }),
  activate: () => Promise.reject(new BootstrapError("protocol/challenge", "none")),
  ownIdentity: (bound) => Promise.resolve(bound),
};

/** A node that waits for a join service at a port where nothing listens. */
async function waiting(change: Partial<RunDependencies> = {}) {
  const root = await Deno.makeTempDir();
  const probe = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = probe.addr;
  probe.close();
  const paths = nodePaths(root);
  const events: Record<string, unknown>[] = [];
  const commands: CommandRunner = {
    run: () => Promise.resolve({ code: 0, stdout: "Kubernetes v1.36.3\n", stderr: "" }),
  };
  const configuration = readNodeConfiguration(
    JSON.stringify({
      version: 1,
      trust: { clusterName: "test", operatorKeys: [operatorKey] },
      node: { name: "worker-1", address: "192.0.2.7" },
      evidence: { variant: "none", allowInsecure: true },
      init: { enabled: false },
      join: { endpoints: [`127.0.0.1:${port}`] },
      allowUnmeasuredImage: true,
    }),
    "it",
  );
  const deps: RunDependencies = {
    ...{ configuration, paths, issuer, commands, unmeasured: [], clock: systemClock },
    self: { name: "worker-1", address: "192.0.2.7", role: "worker" },
    program: { argv: ["/nowhere"], env: {} },
    log: createLog(systemClock, (line) => events.push(JSON.parse(line))),
    ...change,
  };
  const stop = new AbortController();
  const status = () => readStatus(paths.status);
  return {
    ...{ deps, events, status, stop, run: () => runNode(deps, stop.signal) },
    until: async (isMeant: (status: NodeStatus | undefined) => boolean) => {
      for (let tries = 0; !isMeant(await status()); tries++) {
        assert.ok(tries < 1_000, JSON.stringify(await status()));
        await systemClock.sleep(10);
      }
    },
    [Symbol.asyncDispose]: () => Deno.remove(root, { recursive: true }),
  };
}

Deno.test("runNode() returns when it is asked to stop, and says so", async () => {
  await using node = await waiting();
  const running = node.run();
  await node.until((status) => status?.phase === "racing" && status.lastRefusal !== undefined);
  node.stop.abort(new BootstrapError("aborted/signal", "The command was ended by SIGTERM or SIGINT"));
  await running;
  const { phase, error, waitsFor } = await node.status() ?? {};
  assert.deepEqual([phase, error, waitsFor], ["stopped", undefined, undefined]);
  assert.deepEqual(node.events.filter(({ level }) => level === "error"), []);
  assert.equal(node.events.at(-1)?.["event"], "stopped");
});

Deno.test("runNode() writes a line each hour while it waits, with what it waits for and what it heard last", async () => {
  const hours = Array.from({ length: 3 }, () => Promise.withResolvers<void>());
  let [passedMs, begun] = [0, 0];
  const clock: Clock = {
    ...systemClock,
    monotonicMs: () => systemClock.monotonicMs() + passedMs,
    async sleep(ms, signal) {
      if (ms !== HOUR_MS) return await systemClock.sleep(Math.min(ms, 50), signal);
      const hour = hours[begun++];
      if (hour === undefined) return await systemClock.sleep(ms, signal);
      await hour.promise;
      passedMs += ms;
    },
  };
  await using node = await waiting({ clock });
  const running = node.run();
  await node.until((status) => status?.lastRefusal !== undefined);
  const lines = () => node.events.filter(({ event }) => event === "still-waiting");
  assert.deepEqual(lines(), []);
  for (const [index, hour] of hours.entries()) {
    hour.resolve();
    for (let tries = 0; lines().length <= index; tries++) {
      assert.ok(tries < 500);
      await systemClock.sleep(10);
    }
  }
  const seen = lines().map(({ hours, phase, waitsFor, lastRefusal }) => [hours, phase, waitsFor, lastRefusal]);
  const [first] = node.deps.configuration.join.endpoints;
  const { host, port } = first !== undefined && "host" in first ? first : assert.fail();
  const waitsFor = `a ticket from ${host}:${port}`;
  assert.deepEqual(seen, [1, 2, 3].map((hour) => [hour, "racing", waitsFor, "unavailable/connection"]));
  node.stop.abort();
  await running;
});

Deno.test("runNode() ends when the process with the machine's devices ends, and blames no peer", async () => {
  const end = Promise.withResolvers<never>();
  await using node = await waiting({ deviceEnd: end.promise });
  const running = node.run();
  await node.until((status) => status?.phase === "racing" && status.lastRefusal !== undefined);
  end.reject(new BootstrapError("system/device", "The process with access to this machine's devices has ended"));
  await assert.rejects(running, { code: "system/device" });
  const { phase, error, failures } = await node.status() ?? {};
  assert.deepEqual([phase, error?.code, error?.peer, failures], ["failed", "system/device", undefined, 1]);
  assert.match(error?.next ?? "", /start the bootstrapper again/i);
});
