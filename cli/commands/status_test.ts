import assert from "node:assert/strict";
import { join } from "node:path";
import { writeMeasurementRecord } from "../../node/measurement_record.ts";
import { writeControlPlaneRenewal } from "../../node/control_plane_renewal_record.ts";
import type { RenewalRecord } from "../../node/renewal_record.ts";
import { writeRenewalRecord } from "../../node/renewal_record.ts";
import { statusRefusal, StatusWriter } from "../../node/status.ts";
import { TimelineRecorder } from "../../node/timeline.ts";
import { LockFile } from "../../nodelock/file.ts";
import { takeRunLock } from "../../nodelock/run_lock.ts";
import { BootstrapError } from "../../platform/errors.ts";
import { present } from "../../platform/present.ts";
import { TestWorld } from "../testing/command_line.ts";

async function bootstrappedWorld(): Promise<TestWorld> {
  const world = await TestWorld.create();
  const { paths, clock, log } = world.context;
  await Deno.mkdir(paths.state, { recursive: true });
  const timeline = await TimelineRecorder.open({ path: paths.timeline, clock, log });
  await timeline.phase("preflight", () => Promise.resolve());
  const staged = await new LockFile(paths.state).stage({
    owner: "join",
    clusterId: new Uint8Array(32).fill(0xab),
    time: clock.now(),
  });
  await staged.link();
  const refusal = new BootstrapError("refused/pcr-4", "PCR 4 is wrong", {
    details: { check: "pcr-4", expected: "00", seen: "\x1b[31m", saidBy: "peer" },
    checks: [
      { check: "pcr-4", expected: "00", seen: "\x1b[31m", message: "PCR 4 is wrong" },
      { check: "pcr-11", expected: "22", seen: "33", message: "PCR 11 is wrong" },
    ],
  });
  await new StatusWriter({ path: paths.status, clock, log }).update({
    phase: "joining",
    nodeName: "node-1",
    waitsFor: "the kubelet",
    lastRefusal: statusRefusal(refusal, clock.now(), "10.0.0.2:9444"),
  });
  return world;
}

Deno.test("status says so when the bootstrapper has not run", async () => {
  await using world = await TestWorld.create();
  assert.equal(await world.run("status"), 0);
  assert.match(world.out, /belongs to no cluster yet\n.*has not run on this node yet/);
  assert.equal(await world.run("status", "--output", "json"), 0);
  assert.deepEqual(JSON.parse(world.out), { lock: null, status: null, renewal: null, timeline: [] });
});

Deno.test("status shows lock, phase, what the node waits for, the last refusal and the timeline", async () => {
  await using world = await bootstrappedWorld();
  assert.equal(await world.run("status"), 0, world.err);
  for (
    const part of [
      "taken by join",
      "sha256:abab",
      "joining",
      "the kubelet",
      "PCR 4 is wrong",
      "10.0.0.2:9444",
      "saidBy: peer",
      "check pcr-11: PCR 11 is wrong",
      "expected  22",
      "seen      33",
      "preflight",
    ]
  ) {
    assert.ok(world.out.includes(part), part);
  }
  assert.ok(!world.out.includes("\x1b"));
  assert.equal(await world.run("status", "--output", "json"), 0);
  const { lock, status, timeline } = JSON.parse(world.out);
  assert.equal(lock.owner, "join");
  assert.equal(status.lastRefusal.details.expected, "00");
  assert.deepEqual(status.lastRefusal.checks[1], {
    ...{ check: "pcr-11", expected: "22", seen: "33", message: "PCR 11 is wrong" },
  });
  assert.equal(timeline[0].name, "preflight");
  assert.deepEqual(world.revoked.slice(0, 7), ["env", "ffi", "import", "net", "run", "sys", "write"]);
});

Deno.test("status says when the node was attested, until when its certificates are valid, and why it was refused", async () => {
  await using world = await TestWorld.create();
  const { paths, clock } = world.context;
  await Deno.mkdir(paths.state, { recursive: true });
  const validity = { notBefore: "2025-12-31T00:00:00.000Z", notAfter: "2026-01-07T00:00:00.000Z" };
  const record: RenewalRecord = {
    ...{ version: 1, joinEndpoints: ["10.0.0.2:9444"], issuedBy: "attestation", attested: validity.notBefore },
    ...{ client: validity, serving: { ...validity, notAfter: "2026-01-06T00:00:00.000Z" } },
  };
  await writeRenewalRecord(paths.state, record);
  assert.equal(await world.run("status"), 0, world.err);
  assert.match(world.out, /^attested +2025-12-31T00:00:00.000Z$/m);
  assert.match(world.out, /^certificates +valid until 2026-01-06T00:00:00.000Z$/m);
  assert.doesNotMatch(world.out, /not renewed/);
  const error = new BootstrapError("refused/pcr-4", "PCR 4 is wrong");
  const refusal = statusRefusal(error, clock.now(), "10.0.0.2:9444");
  const ended = { ...validity, notAfter: "2025-12-31T12:00:00.000Z" };
  await writeRenewalRecord(paths.state, { ...record, client: ended, refusal });
  assert.equal(await world.run("status"), 0, world.err);
  assert.match(world.out, /^certificates +ended at 2025-12-31T12:00:00.000Z$/m);
  assert.match(world.out, /^not renewed +PCR 4 is wrong \[refused\/pcr-4\] by 10\.0\.0\.2:9444/m);
  assert.equal(await world.run("status", "--output", "json"), 0);
  assert.equal(JSON.parse(world.out).renewal.refusal.code, "refused/pcr-4");
});

Deno.test("status says until when a control plane's own certificates are valid, and what was not started with them", async () => {
  await using world = await TestWorld.create();
  const { paths } = world.context;
  await Deno.mkdir(paths.state, { recursive: true });
  const seen = "2025-12-31T00:00:00.000Z";
  const record = { version: 1, seen, until: "2026-12-31T00:00:00.000Z", renewedAt: seen, pending: [] } as const;
  await writeControlPlaneRenewal(paths.state, record);
  assert.equal(await world.run("status"), 0, world.err);
  assert.match(
    world.out,
    /^control plane +its own certificates are valid until 2026-12-31T00:00:00.000Z, renewed at 2025-12-31T00:00:00.000Z$/m,
  );
  assert.doesNotMatch(world.out, /bootstrapper-control-plane-renew/);
  await writeControlPlaneRenewal(paths.state, { ...record, until: seen, pending: ["etcd", "kube-scheduler"] });
  assert.equal(await world.run("status"), 0, world.err);
  assert.match(world.out, /^control plane +its own certificates ended at 2025-12-31T00:00:00.000Z/m);
  assert.match(world.out, /^ +not started anew with them yet: etcd, kube-scheduler$/m);
  assert.match(world.out, /next: see `systemctl status bootstrapper-control-plane-renew`/);
  assert.equal(await world.run("status", "--output", "json"), 0);
  assert.deepEqual(JSON.parse(world.out).controlPlaneRenewal.pending, ["etcd", "kube-scheduler"]);
  await Deno.writeTextFile(join(paths.state, "control-plane-renewal.json"), "{");
  assert.equal(await world.run("status"), 0, world.err);
  assert.match(world.out, /^control plane +not readable: .*\[malformed\/renewal-record\]$/m);
});

Deno.test("status takes no outcome of an earlier boot for one of this boot", async () => {
  await using world = await TestWorld.create();
  const { state } = world.context.paths;
  await Deno.mkdir(state, { recursive: true });
  const [ours, other] = ["00112233-4455-6677-8899-aabbccddeeff", "ffeeddcc-bbaa-9988-7766-554433221100"];
  await world.write("proc/sys/kernel/random/boot_id", `${ours}\n`);
  const time = "2025-12-31T00:00:00.000Z";
  const shown = async (bootId?: string) => {
    await writeMeasurementRecord(state, { time, tries: 1, ...present("bootId", bootId) });
    assert.equal(await world.run("status", "--output", "json"), 0, world.err);
    const { measured: { isOfThisBoot } } = JSON.parse(world.out);
    assert.equal(await world.run("status"), 0, world.err);
    return [isOfThisBoot, /^((?:not )?measured) /m.exec(world.out)?.[1]];
  };
  assert.deepEqual(await shown(ours), [true, "measured"]);
  assert.deepEqual(await shown(other), [false, "not measured"]);
  assert.match(world.out, /not at this boot; the last outcome is of an earlier one \(2025-12-31/);
  // An earlier version did not record its boot.
  assert.deepEqual(await shown(), [undefined, "measured"]);
});

Deno.test("status explains a start that waits after several that failed", async () => {
  await using world = await TestWorld.create();
  const { paths, clock, log } = world.context;
  await Deno.mkdir(paths.state, { recursive: true });
  const writer = new StatusWriter({ path: paths.status, clock, log });
  using _runLock = await takeRunLock(paths.state);
  await writer.update({ phase: "starting" });
  assert.equal(await world.run("status"), 0, world.err);
  assert.match(world.out, /^phase +starting: the configuration has not been read yet/m);
  await writer.update({ waitsFor: "the next try, in 40 s: the last 6 starts have failed" });
  assert.equal(await world.run("status"), 0, world.err);
  assert.match(world.out, /^phase +starting: a pause after several starts that failed/m);
});

Deno.test("status shows what names in DNS have, and what came from the machine's metadata", async () => {
  await using world = await TestWorld.create();
  const { paths, clock, log } = world.context;
  await Deno.mkdir(paths.state, { recursive: true });
  await new StatusWriter({ path: paths.status, clock, log }).update({
    phase: "racing",
    metadata: { source: "ec2", name: "w-1", role: "worker" },
    endpoints: [
      { source: "dns:a.example:1", count: 0, endpoints: [], failure: "ENOTFOUND" },
      { source: "srv:_b._tcp.example", count: 3, endpoints: ["10.0.0.1:1", "10.0.0.2:1"], leftOut: 4 },
    ],
  });
  assert.equal(await world.run("status"), 0, world.err);
  assert.match(world.out, /^metadata +from ec2: name w-1, role worker$/m);
  assert.match(world.out, /^endpoints +dns:a\.example:1: none yet \(ENOTFOUND\)$/m);
  assert.match(world.out, /^endpoints +srv:_b\._tcp\.example: 10\.0\.0\.1:1, 10\.0\.0\.2:1 and 1 more; 4 not used$/m);
  assert.equal(await world.run("status", "--output", "json"), 0);
  assert.equal(JSON.parse(world.out).status.endpoints.length, 2);
});

Deno.test("status prints a picture when --svg is given", async () => {
  await using world = await bootstrappedWorld();
  assert.equal(await world.run("status", "--svg"), 0);
  assert.match(world.out, /^<svg [\s\S]*preflight[\s\S]*<\/svg>\n$/);
  assert.equal(await world.run("status", "--svg", "--output", "json"), 2);
});

Deno.test("status names a file that is torn or of a newer version, and shows all the others", async () => {
  await using world = await bootstrappedWorld();
  const { paths } = world.context;
  const record = join(paths.state, "renewal.json");
  await Deno.writeTextFile(record, '{"version":2}');
  assert.equal(await world.run("status"), 0, world.err);
  assert.match(world.out, /^certificates +not readable: .*renewal\.json.*\[malformed\/renewal-record\]$/m);
  for (const part of ["taken by join", "joining", "PCR 4 is wrong", "preflight"]) assert.ok(world.out.includes(part));
  await Deno.writeTextFile(paths.status, "{");
  assert.equal(await world.run("status"), 0, world.err);
  assert.match(world.out, /^phase +not readable: .*status\.json.*\[malformed\/status\]$/m);
  assert.ok(world.out.includes("taken by join"));
  assert.equal(await world.run("status", "--output", "json"), 0);
  const { lock, status, renewal, unreadable } = JSON.parse(world.out);
  assert.deepEqual([lock.owner, status, renewal], ["join", null, null]);
  assert.deepEqual(unreadable.map(({ code }: { code: string }) => code), [
    "malformed/status",
    "malformed/renewal-record",
  ]);
});

Deno.test("status names the lock when that is torn", async () => {
  await using world = await bootstrappedWorld();
  const path = join(world.context.paths.state, "node.lock");
  await Deno.chmod(path, 0o600);
  await Deno.writeTextFile(path, "{");
  assert.equal(await world.run("status"), 1);
  assert.ok(world.err.includes(path), world.err);
});

Deno.test("status refuses to print a picture as JSON", async () => {
  await using world = await TestWorld.create();
  assert.equal(await world.run("status", "--svg", "--output", "json"), 2);
  assert.equal(JSON.parse(world.out).error.code, "usage/output");
});
