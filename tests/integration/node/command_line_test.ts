/** The command line of a node with a real software TPM, from its first boot to a reboot as a member. */
import { requiredNames, snpOf, tpmOf } from "../../../attestation/testing/sections.ts";
import { AS_SHOWN, FRESH } from "../../../attestation/evidence.ts";
import assert from "node:assert/strict";
import { join } from "node:path";
import { EVENT_TYPE } from "../../../attestation/eventlog/event_types.ts";
import { writeLog, type WrittenEvent } from "../../../attestation/eventlog/testing/event_logs.ts";
import { NO_COLLATERAL } from "../../../attestation/collateral.ts";
import { readEvidenceFile } from "../../../attestation/evidence_file.ts";
import { acceptedTrust, trustExpectation } from "../../../attestation/policy/accepted_trust.ts";
import { readPolicy } from "../../../attestation/policy/policy.ts";
import { createExplainingVerifier } from "../../../attestation/policy/policy_verifier.ts";
import { createSoftwareAmd } from "../../../attestation/kinds/snp/testing/snp.ts";
import { createTpmIssuer } from "../../../attestation/kinds/tpm/issuer.ts";
import { verifyEvidence } from "../../../attestation/verify_evidence.ts";
import { extendedOnce, lockDigest, trustDigest } from "../../../protocol/transcript.ts";
import { TestWorld, type TestWorldOptions } from "../../../cli/testing/command_line.ts";
import { readNodeConfiguration } from "../../../node/configuration.ts";
import { LockFile } from "../../../nodelock/file.ts";
import { hex, randomBytes, sha256, utf8 } from "../../../platform/bytes.ts";
import { BootstrapError } from "../../../platform/errors.ts";
import { hasSwtpm, startSwtpm, type Swtpm } from "../../swtpm.ts";

const isThere = await hasSwtpm();

function swtpmTest(
  name: string,
  run: (world: TestWorld, tpm: Swtpm) => Promise<void>,
  options: Pick<TestWorldOptions, "device"> = {},
): void {
  Deno.test({
    name: isThere ? name : `${name} -- IGNORED: swtpm and swtpm-tools are not installed`,
    ignore: !isThere,
    async fn() {
      await using tpm = await startSwtpm();
      let open: { close(): void } | undefined;
      await using world = await TestWorld.create({
        ...options,
        openTpm: async () => {
          open?.close();
          const transport = await tpm.connect();
          open = transport;
          return transport;
        },
      });
      await world.write("dev/tpmrm0", "");
      const example = join(import.meta.dirname ?? ".", "../../../deploy/node-control-plane.example.yaml");
      await world.write("etc/bootstrapper/config.yaml", await Deno.readTextFile(example));
      try {
        await run(world, tpm);
      } finally {
        open?.close();
      }
    },
  });
}

async function trustOf(world: TestWorld) {
  return readNodeConfiguration(await Deno.readTextFile(world.context.paths.configuration), "it").trust;
}

swtpmTest("measure extends PCR 12 once, and PCR 15 once there is a lock, at every boot", async (world, tpm) => {
  const trusted = hex(await extendedOnce(await trustDigest(await trustOf(world))));
  const clusterId = randomBytes(32);
  const locked = hex(await extendedOnce(await lockDigest(clusterId)));
  const measure = async () => {
    assert.equal(await world.run("measure", "--output", "json"), 0, world.out);
    const { pcr12, pcr15 } = JSON.parse(world.out);
    return [pcr12, pcr15];
  };
  assert.deepEqual(await measure(), [trusted, "00".repeat(32)]);
  assert.deepEqual(await measure(), [trusted, "00".repeat(32)]);
  const { paths, clock } = world.context;
  const staged = await new LockFile(paths.state).stage({ owner: "init", clusterId, time: clock.now() });
  await staged.link();
  assert.deepEqual(await measure(), [trusted, locked]);
  await tpm.restart();
  assert.deepEqual(await measure(), [trusted, locked]);
  assert.deepEqual(await measure(), [trusted, locked]);
});

swtpmTest(
  "measure fails and shows the value when another configuration was measured, or the lock is gone",
  async (world) => {
    assert.equal(await world.run("measure"), 0, world.err);
    const path = world.context.paths.configuration;
    const text = await Deno.readTextFile(path);
    await Deno.writeTextFile(path, text.replace("clusterName: demo", "clusterName: other"));
    assert.equal(await world.run("measure"), 1);
    assert.match(world.err, /precondition\/register/);
    assert.match(world.err, /register +12\n +expected +[0-9a-f]{64}\n +seen +[0-9a-f]{64}\n/);
    await Deno.writeTextFile(path, text);
    const { paths, clock } = world.context;
    const lock = new LockFile(paths.state);
    await (await lock.stage({ owner: "join", clusterId: new Uint8Array(32), time: clock.now() })).link();
    assert.equal(await world.run("measure"), 0, world.err);
    await Deno.remove(lock.path);
    assert.equal(await world.run("measure"), 1);
    assert.match(world.err, /precondition\/lock-missing/);
  },
);

swtpmTest(
  "measure measures whenever there is a TPM, also on a machine that gives evidence of no kind",
  async (world, tpm) => {
    const path = world.context.paths.configuration;
    const text = await Deno.readTextFile(path);
    const none = "evidence: { variant: none, allowInsecure: true }\n";
    await Deno.writeTextFile(path, text.replace(/^evidence:\n(?: .*\n)*/m, none));
    const trust = await trustOf(world);
    assert.equal(await world.run("measure"), 0, world.err);
    assert.deepEqual([trust.variants, trust.switches], [["none"], ["allowInsecure"]]);
    const clusterId = randomBytes(32);
    const staged = await new LockFile(world.context.paths.state).stage({ owner: "join", clusterId, time: new Date() });
    await staged.link();
    for (const _boot of [1, 2]) {
      assert.equal(await world.run("measure", "--output", "json"), 0, world.err);
      const { pcr12, pcr15, measured } = JSON.parse(world.out);
      assert.equal(measured, true);
      assert.equal(pcr12, hex(await extendedOnce(await trustDigest(trust))));
      assert.equal(pcr15, hex(await extendedOnce(await lockDigest(clusterId))));
      await tpm.restart();
    }
    assert.equal(await world.run("measure"), 0, world.err);

    // Its quote, made by another program on the machine, does not pass for that of a fresh machine with the same TPM.
    const statement = randomBytes(32);
    const issuer = createTpmIssuer(await world.context.openTpm(), "ecc-p384");
    const evidence = await issuer.issue(statement);
    const identity = await issuer.ownIdentity("");
    const policy = readPolicy(
      JSON.stringify({
        version: 1,
        variant: "tpm",
        tpm: { ekType: "ecc-p384", pcrs: { 0: ["0".repeat(64)] }, trust: { identities: [identity] } },
      }),
      "it",
    );
    const verifier = createExplainingVerifier(policy, "node", { collateral: NO_COLLATERAL, now: () => new Date() });
    const locks = [FRESH, await lockDigest(clusterId)];
    const { clusterName, operatorKeys } = trust;
    const expected = await trustExpectation(acceptedTrust(policy, "node"), { clusterName, operatorKeys }, [
      new Uint8Array(),
    ]);
    await assert.rejects(
      verifyEvidence(verifier, evidence, statement, { ...expected, lock: locks, identity }),
      { code: "refused/pcr-12", message: /configuration has evidence\.variant none, with allowInsecure: true/ },
    );
    await assert.rejects(
      verifyEvidence(verifier, evidence, statement, {
        ...{ trust: [await trustDigest(trust)], lock: [FRESH], identity },
      }),
      { code: "refused/pcr-15" },
    );
  },
);

swtpmTest("evidence prints a policy that this machine satisfies", async (world, tpm) => {
  assert.equal(await world.run("evidence", "--ek-type", "ecc-p384"), 0, world.err);
  const policy = readPolicy(world.out, "the printed policy");
  assert.match(world.out, /^# A policy for exactly this machine/);
  assert.match(world.out, /\n# -----BEGIN CERTIFICATE-----\n/);
  assert.equal(await world.run("evidence", "--ek-type", "ecc-p384", "--output", "json"), 0, world.out);
  const { identity, pcrs, ekCertificate, resetCount } = JSON.parse(world.out);
  assert.equal(Object.keys(pcrs).length, 16);
  assert.match(ekCertificate, /^-----BEGIN CERTIFICATE-----\n/);
  assert.equal(typeof resetCount, "number");
  const statement = randomBytes(32);
  const transport = await world.context.openTpm();
  const evidence = await createTpmIssuer(transport, "ecc-p384").issue(statement);
  const verifier = createExplainingVerifier(policy, "node", { collateral: NO_COLLATERAL, now: () => new Date() });
  const { claims } = await verifier.verify(evidence, statement, AS_SHOWN);
  assert.equal(claims.identity, identity);
  await tpm.restart();
});

swtpmTest(
  "evidence of a real TPM is written into a file, becomes a policy, and is explained when it changes",
  async (world) => {
    const path = (name: string) => join(world.root, name);
    const started = (program: string) => ({
      pcr: 4,
      type: EVENT_TYPE.efiAction,
      data: utf8(`Starting ${program}`),
    });
    const boot = async (file: string, program: string) => {
      const log = writeLog(booted.concat(started(program)));
      booted.push(started(program));
      const registers = createTpmIssuer(await world.context.openTpm(), "rsa2048");
      await registers.extend(4, await sha256(started(program).data));
      await Deno.mkdir(path("sys/kernel/security/tpm0"), { recursive: true });
      await Deno.writeFile(path("sys/kernel/security/tpm0/binary_bios_measurements"), log);
      assert.equal(await world.run("evidence", "--ek-type", "rsa2048", "--out", path(file)), 0, world.err);
      assert.match(world.out, /with the event log/);
    };
    const booted: WrittenEvent[] = [];
    assert.equal(await world.run("measure"), 0, world.err);
    await boot("one.json", "a kernel");
    assert.equal(await world.run("evidence", "--ek-type", "rsa2048", "--out", path("one.json")), 1);
    assert.match(world.err, /precondition\/file-exists/);
    assert.equal(await world.run("policy", "make", path("one.json")), 0, world.err);
    await Deno.writeTextFile(path("policy.yaml"), world.out);
    const judged = ["--policy", path("policy.yaml"), "--config", world.context.paths.configuration];
    assert.equal(await world.run("verify", path("one.json"), ...judged), 0, world.err);
    await boot("two.json", "something else");
    assert.equal(await world.run("verify", path("two.json"), ...judged), 3, world.out);
    assert.match(world.err, /refused\/pcr-4/);
    const reference = ["--reference", path("one.json"), "--output", "json"];
    assert.equal(await world.run("policy", "explain", path("two.json"), ...judged, ...reference), 3, world.out);
    const [{ pcr, log, firstDifference }] = JSON.parse(world.out).registers;
    assert.deepEqual([pcr, log, firstDifference.same, firstDifference.there], [4, "replays", 1, null]);
    assert.deepEqual([firstDifference.here.description, firstDifference.here.confirmed], [
      "Starting something else",
      true,
    ]);
  },
);

const amd = await createSoftwareAmd();
const processor = { 0x00: Uint8Array.of(3), 0x188: Uint8Array.of(0x19, 1, 1) };
const noRegister = () => Promise.reject(new Error("SNP has no such register"));

swtpmTest("evidence of a TPM and of SNP is two pieces in a file, and one policy", async (world) => {
  const { configuration } = world.context.paths;
  const text = (await Deno.readTextFile(configuration)).replace(/^evidence:\n(?: .*\n)*/m, "");
  await Deno.writeTextFile(configuration, `${text}\nevidence: { variant: [tpm, snp] }\n`);
  const path = join(world.root, "both.json");
  assert.equal(await world.run("evidence", "--out", path), 0, world.err);
  assert.match(world.out, /tpm\+snp/);
  const { evidence } = readEvidenceFile(await Deno.readFile(path), path);
  assert.deepEqual(evidence.map(({ variant }) => variant), ["tpm", "snp"]);
  assert.equal(await world.run("evidence"), 0, world.err);
  const policy = readPolicy(world.out, "it");
  assert.deepEqual(requiredNames(policy), { node: ["tpm", "snp"], init: ["tpm", "snp"] });
  assert.deepEqual([...policy.controlPlanes], [...tpmOf(policy).trust.identities]);
  assert.equal(snpOf(policy).measurements.length, 1);
  assert.match(world.out, /# HOST_DATA, which no policy names: (?:d1){32}\n/);
  // The software's signing key is not AMD's.
  assert.equal(await world.run("policy", "make", path), 3);
  assert.match(world.err, /refused\/snp-collateral/);
  assert.match(world.err, /amd-vcek-[0-9a-f-]+\.der[^]*Next: Get it from AMD's .*; --collateral names the folder\./);
}, {
  device: {
    report: async ({ reportData }) => {
      return { outblob: await amd.report({ ...processor, 0x50: reportData }), auxblob: new Uint8Array() };
    },
    registers: { read: noRegister, write: noRegister },
  },
});

swtpmTest("measure tries again while the TPM fails, and status shows the outcome", async (world, tpm) => {
  let failures = 2;
  const open = world.context.openTpm;
  const down = () => Promise.reject(new BootstrapError("system/tpm-transport", "Cannot open the TPM: EBUSY"));
  Object.assign(world.context, { openTpm: () => failures-- > 0 ? down() : open() });
  assert.equal(await world.run("measure"), 0, world.err);
  assert.equal(world.err.match(/"measurement-failed"/g)?.length, 2);
  assert.equal(await world.run("status", "--output", "json"), 0, world.err);
  assert.equal(JSON.parse(world.out).measured.tries, 3);
  failures = Infinity;
  assert.equal(await world.run("measure"), 1);
  assert.equal(await world.run("status"), 0, world.err);
  assert.match(world.out, /^not measured +Cannot open the TPM: EBUSY \[system\/tpm-transport\]/m);
  assert.match(world.out, /next: Check that the machine has a TPM 2\.0/);
  failures = 0;
  await tpm.restart();
  assert.equal(await world.run("measure"), 0, world.err);
  assert.equal(await world.run("status"), 0, world.err);
  assert.match(world.out, /^measured +2026-01-01T00:00:00.000Z$/m);
});
