import assert from "node:assert/strict";
import { join } from "node:path";
import { stringify } from "yaml";
import { LockFile } from "../../nodelock/file.ts";
import { systemClock } from "../../platform/clock.ts";
import { sourceText } from "../../platform/endpoint_source.ts";
import { createLog } from "../../platform/log.ts";
import { operatorKeyLine } from "../../certificate/operator_key.ts";
import { fromHex } from "../../platform/bytes.ts";
import { readNodeConfiguration } from "../configuration.ts";
import { nodePaths } from "../paths.ts";
import { keptMetadata, machineMetadata, METADATA_FILE, withMetadata } from "./metadata.ts";
import type { MetadataOptions } from "./metadata.ts";
import { EC2, imdsv2, INSTANCE_DATA, serveMetadata } from "./testing/services.ts";
import type { MetadataConfiguration } from "./values.ts";

const KEY = operatorKeyLine(fromHex(`302a300506032b6570032100${"07".repeat(32)}`, "key"));
const USED: MetadataConfiguration = { source: "ec2", use: ["name", "role", "endpoints"] };

/** A machine in a temporary folder, whose pauses are short. */
async function onMachine(work: (machine: MetadataOptions, events: Record<string, unknown>[]) => Promise<void>) {
  const root = await Deno.makeTempDir();
  const events: Record<string, unknown>[] = [];
  const clock = { ...systemClock, sleep: (ms: number, signal?: AbortSignal) => systemClock.sleep(ms / 100, signal) };
  try {
    const log = createLog(systemClock, (line) => events.push(JSON.parse(line)));
    await work({ paths: nodePaths(root), clock, log, deadlineMs: 60_000 }, events);
  } finally {
    await Deno.remove(root, { recursive: true });
  }
}

function configuration(parts: Record<string, unknown>) {
  const trust = { clusterName: "demo", operatorKeys: [KEY] };
  return readNodeConfiguration(stringify({ version: 1, trust, ...parts }), "it");
}

Deno.test("machineMetadata() asks again while the service is not there, and keeps what it says", () =>
  onMachine(async (machine, events) => {
    let tries = 0;
    await using service = serveMetadata((request) =>
      ++tries <= 3 ? new Response("", { status: 503 }) : imdsv2(EC2)(request)
    );
    const found = await machineMetadata(USED, { ...machine, base: service.base });
    assert.deepEqual(found, await keptMetadata(machine.paths));
    assert.deepEqual(found?.texts, {
      name: "ip-10-77-0-21.ec2.internal",
      role: "control-plane",
      endpoints: "10.77.0.11:9444 dns:join.example.org:9444",
    });
    assert.equal(events.filter(({ event }) => event === "metadata-not-read").length, 3);
    assert.ok(!service.asked.some((one) => one.includes("local-ipv4")), "it was asked for what is not used");
  }));

Deno.test("machineMetadata() of a fresh node takes what the service says now; a locked one asks nothing", () =>
  onMachine(async (machine) => {
    const first = serveMetadata(imdsv2(EC2));
    await machineMetadata(USED, { ...machine, base: first.base });
    await first[Symbol.asyncDispose]();
    const other = { ...EC2, "/latest/meta-data/local-hostname": "other.ec2.internal" };
    await using second = serveMetadata(imdsv2(other));
    const now = await machineMetadata(USED, { ...machine, base: second.base });
    assert.equal(now?.texts.name, "other.ec2.internal");
    await Deno.writeTextFile(new LockFile(machine.paths.state).path, "any");
    // Nothing listens there any more.
    assert.deepEqual(await machineMetadata(USED, { ...machine, base: first.base }), now);
  }));

Deno.test("machineMetadata() gives up after some tries, and at once when the source's form is wrong or the signal says so", () =>
  onMachine(async (machine) => {
    await using silent = serveMetadata(() => new Response("", { status: 500 }));
    await assert.rejects(machineMetadata(USED, { ...machine, base: silent.base }), { code: "unavailable/metadata" });
    assert.equal(silent.asked.length, 10);
    const wrong = { ...EC2, "/latest/meta-data/tags/instance/bootstrapper-role": "root" };
    await using garbage = serveMetadata(imdsv2(wrong));
    await assert.rejects(machineMetadata(USED, { ...machine, base: garbage.base }), { code: "malformed/metadata" });
    const stop = new AbortController();
    await using stopping = serveMetadata(() => (stop.abort(new Error("stopped")), new Response("", { status: 500 })));
    const stopped = machineMetadata(USED, { ...machine, base: stopping.base, signal: stop.signal });
    await assert.rejects(stopped, /stopped/);
    assert.equal(await keptMetadata(machine.paths), undefined);
  }));

Deno.test("machineMetadata() reads NoCloud's from cloud-init, which may be late", () =>
  onMachine(async (machine, events) => {
    const folder = join(machine.paths.root, "run/cloud-init");
    await Deno.mkdir(folder, { recursive: true });
    const random = () => {
      Deno.writeTextFileSync(join(folder, "instance-data.json"), INSTANCE_DATA);
      return 0;
    };
    const found = await machineMetadata({ source: "nocloud", use: ["name", "address"] }, { ...machine, random });
    assert.deepEqual(found, { source: "nocloud", texts: { name: "worker-1", address: "10.77.0.23" } });
    assert.equal(events.filter(({ event }) => event === "metadata-not-read").length, 1);
  }));

Deno.test("keptMetadata() refuses a file of another form", () =>
  onMachine(async ({ paths }) => {
    await Deno.mkdir(paths.state, { recursive: true });
    for (
      const text of [
        "",
        "{}",
        '{"version":1,"source":"gce","texts":{}}',
        '{"version":1,"source":"ec2","texts":{"trust":"x"}}',
      ]
    ) {
      await Deno.writeTextFile(join(paths.state, METADATA_FILE), text);
      await assert.rejects(keptMetadata(paths), { code: "malformed/metadata" }, text);
    }
  }));

Deno.test("withMetadata() gives the configuration the values, and leaves its trust part as it is", () => {
  const written = configuration({
    metadata: { source: "ec2", use: ["name", "address", "role", "endpoints"] },
    init: { enabled: false },
  });
  const texts = {
    name: "w-1",
    address: "10.0.0.1,fd00::1",
    role: "control-plane",
    endpoints: "a.example:1 b.example:2",
  };
  const { node, join: { endpoints }, trust } = withMetadata(written, { source: "ec2", texts });
  assert.deepEqual(node, { name: "w-1", address: "10.0.0.1", secondAddress: "fd00::1", role: "control-plane" });
  assert.deepEqual(endpoints.map(sourceText), ["a.example:1", "b.example:2"]);
  assert.equal(trust, written.trust);
  assert.equal(withMetadata(written, undefined), written);
  const without = configuration({ join: { endpoints: ["a.example:1"] } });
  assert.equal(withMetadata(without, { source: "ec2", texts }), without);
});

Deno.test("readNodeConfiguration() refuses metadata for what it names itself, and for what there is not", () => {
  const cases: readonly (readonly [parts: Record<string, unknown>, said: RegExp])[] = [
    [
      { metadata: { source: "ec2", use: ["name"] }, node: { name: "a" } },
      /metadata\.use: node\.name says the name already/,
    ],
    [
      { metadata: { source: "ec2", use: ["address"] }, node: { addressFrom: "10.0.0.0/8" } },
      /node\.addressFrom says the address/,
    ],
    [{ metadata: { source: "ec2", use: ["role"] }, node: { role: "worker" } }, /node\.role says the role/],
    [
      { metadata: { source: "ec2", use: ["endpoints"] }, join: { endpoints: ["a:1"] } },
      /join\.endpoints says the endpoints/,
    ],
    [{ metadata: { source: "ec2", use: [] } }, /at least one of name, address, role, endpoints/],
    [{ metadata: { source: "ec2", use: ["name", "name"] } }, /each value once/],
    [{ metadata: { source: "gce", use: ["name"] } }, /metadata\.source/],
    [{ metadata: { source: "ec2", use: ["trust"] } }, /metadata\.use/],
    [{ metadata: { source: "ec2", use: ["name"], url: "http://a" } }, /metadata\.url/],
  ];
  for (const [parts, said] of cases) assert.throws(() => configuration(parts), said, JSON.stringify(parts));
});
