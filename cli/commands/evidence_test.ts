import { requiredNames, snpOf, tdxOf } from "../../attestation/testing/sections.ts";
import assert from "node:assert/strict";
import { MAXIMUM_LOG_BYTES } from "../../attestation/eventlog/event_log.ts";
import { readEvidenceFile } from "../../attestation/evidence_file.ts";
import { readPolicy } from "../../attestation/policy/policy.ts";
import { createSoftwareAmd } from "../../attestation/kinds/snp/testing/snp.ts";
import { createSoftwareIntel } from "../../attestation/kinds/tdx/testing/intel.ts";
import type { ConfidentialDevice } from "../../attestation/tsm/device.ts";
import { hex } from "../../platform/bytes.ts";
import { BootstrapError } from "../../platform/errors.ts";
import { TestWorld } from "../testing/command_line.ts";

const example = await Deno.readTextFile(new URL("../../deploy/node-worker.example.yaml", import.meta.url));
const noRegister = () => Promise.reject(new BootstrapError("system/tdx-register", "There is no register"));

function deviceOf(report: (reportData: Uint8Array) => Promise<Uint8Array<ArrayBuffer>>): ConfidentialDevice {
  return {
    report: async ({ reportData }) => ({ outblob: await report(reportData), auxblob: new Uint8Array() }),
    registers: { read: noRegister, write: noRegister },
  };
}

const amd = await createSoftwareAmd();
const intel = createSoftwareIntel();
// A report of version 3 names its processor's product line.
const processor = { 0x00: Uint8Array.of(3), 0x188: Uint8Array.of(0x19, 1, 1) };
const snpDevice = deviceOf((reportData) => amd.report({ ...processor, 0x50: reportData }));
const tdxDevice = deviceOf((reportData) => intel.quote({ reportData }));

async function configured(device: ConfidentialDevice, evidence: string): Promise<TestWorld> {
  const world = await TestWorld.create({ device });
  const text = `${example.replace(/^evidence:\n(?: .*\n)*/m, "")}\nevidence: ${evidence}\n`;
  await world.write("etc/bootstrapper/config.yaml", text);
  return world;
}

Deno.test("evidence prints a policy for an SNP machine, without its REPORT_ID among the control planes", async () => {
  await using world = await configured(snpDevice, "{ variant: snp }");
  assert.equal(await world.run("evidence"), 0, world.err);
  const policy = readPolicy(world.out, "it");
  assert.deepEqual(requiredNames(policy).node, ["snp"]);
  assert.deepEqual(snpOf(policy).measurements.map(hex), ["3e".repeat(48)]);
  assert.equal(policy.controlPlanes.size, 0);
  assert.match(
    world.out,
    /^# A policy for exactly this machine as it is now\. It is not verified.*\n#\n# HOST_DATA.*(?:d1){32}\n/,
  );
  assert.match(
    world.out,
    /# The host gives no certificate of its signing key and no CRL: verifiers look for it by collateral\.\n/,
  );
  assert.equal(await world.run("evidence", "--output", "json"), 0, world.out);
  const { variant, identity, snp } = JSON.parse(world.out);
  assert.deepEqual([variant, identity, snp.hostData], ["snp", "1d".repeat(32), "d1".repeat(32)]);
});

Deno.test("evidence prints a policy for a TD, and remarks that Intel's documents were not consulted", async () => {
  await using world = await configured(tdxDevice, "{ variant: tdx }");
  assert.equal(await world.run("evidence"), 0, world.err);
  const policy = readPolicy(world.out, "it");
  assert.deepEqual([requiredNames(policy).node, tdxOf(policy).mrtd.map(hex)], [["tdx"], ["a0".repeat(48)]]);
  assert.match(world.out, /# Intel's documents were not consulted/);
  assert.match(world.out, new RegExp(`# RTMR 3, which no policy names: 0{96}\n`));
  assert.equal(await world.run("evidence", "--output", "json"), 0, world.out);
  const { identity, tdx } = JSON.parse(world.out);
  assert.deepEqual([identity, tdx.rtmrs.length], [null, 4]);
});

Deno.test("evidence writes a file with the configured kinds", async () => {
  await using world = await configured(snpDevice, "{ variant: snp }");
  const path = `${world.root}/evidence.json`;
  assert.equal(await world.run("evidence", "--out", path, "--output", "json"), 0, world.out);
  assert.deepEqual(JSON.parse(world.out), { file: path, variant: "snp", eventLog: false });
  const { evidence } = readEvidenceFile(await Deno.readFile(path), path);
  assert.deepEqual(evidence.map(({ variant }) => variant), ["snp"]);
});

Deno.test("evidence leaves out an event log that cannot be read, and says why", async () => {
  await using world = await configured(snpDevice, "{ variant: snp }");
  const [path, log] = [`${world.root}/evidence.json`, "sys/kernel/security/tpm0/binary_bios_measurements"];
  await world.write(log, "");
  await Deno.truncate(`${world.root}/${log}`, MAXIMUM_LOG_BYTES + 1);
  assert.equal(await world.run("evidence", "--out", path), 0, world.err);
  assert.match(world.out, /without an event log, which cannot be read: .*larger than 8388608 bytes/);
  await Deno.truncate(`${world.root}/${log}`, MAXIMUM_LOG_BYTES);
  assert.equal(await world.run("evidence", "--out", `${path}.2`), 0, world.err);
  assert.equal(readEvidenceFile(await Deno.readFile(`${path}.2`), path).eventLog?.length, MAXIMUM_LOG_BYTES);
});

Deno.test("evidence fails when the configured kind is none, or the machine lacks its device", async () => {
  const none = "{ variant: none, allowInsecure: true }";
  await using world = await configured(snpDevice, none);
  assert.equal(await world.run("evidence"), 1);
  assert.match(world.err, /precondition\/no-evidence/);
  await using bare = await TestWorld.create();
  for (const [variant, code] of [["tpm", "no-tpm"], ["tdx", "no-device"]]) {
    await bare.write(
      "etc/bootstrapper/config.yaml",
      `${example.replace(/^evidence:\n(?: .*\n)*/m, "")}\nevidence: { variant: ${variant} }\n`,
    );
    assert.equal(await bare.run("evidence"), 1);
    assert.ok(bare.err.includes(`precondition/${code}`), bare.err);
  }
});
