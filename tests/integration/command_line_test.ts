/** The command line of a node with a real software TPM, from its first boot to a reboot as a member. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { createVerifier, readPolicy } from "../../attestation/policy.ts";
import { createTpmIssuer } from "../../attestation/tpm/issuer.ts";
import { extendedOnce, lockDigest, trustDigest } from "../../attestation/transcript.ts";
import { TestWorld } from "../../cli/_testing.ts";
import { readNodeConfiguration } from "../../node/configuration.ts";
import { LockFile } from "../../nodelock/file.ts";
import { hex, randomBytes } from "../../platform/bytes.ts";
import { hasSwtpm, startSwtpm, type Swtpm } from "../swtpm.ts";

const isThere = await hasSwtpm();

function swtpmTest(name: string, run: (world: TestWorld, tpm: Swtpm) => Promise<void>): void {
  Deno.test({
    name: isThere ? name : `${name} -- IGNORED: swtpm and swtpm-tools are not installed`,
    ignore: !isThere,
    async fn() {
      await using tpm = await startSwtpm();
      let open: { close(): void } | undefined;
      await using world = await TestWorld.create({
        openTpm: async () => {
          open?.close();
          const transport = await tpm.connect();
          open = transport;
          return transport;
        },
      });
      await world.write("dev/tpmrm0", "");
      const example = join(import.meta.dirname ?? ".", "../../deploy/node-control-plane.example.yaml");
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
  "measure stops and shows the value when another configuration was measured, or the lock is gone",
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
  const zero = new Uint8Array(32);
  const transport = await world.context.openTpm();
  const evidence = await createTpmIssuer(transport, "ecc-p384").issue(statement);
  const verifier = createVerifier(policy, () => new Date());
  const { claims } = await verifier.verify(evidence, statement, { trust: [zero], lock: [zero] });
  assert.equal(claims.identity, identity);
  await tpm.restart();
});
