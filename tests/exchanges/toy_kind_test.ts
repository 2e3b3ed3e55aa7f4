/** A kind of evidence that the program does not know: one line adds it, and it goes the whole way. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { NO_COLLATERAL } from "../../attestation/collateral.ts";
import { readEvidenceFile } from "../../attestation/evidence_file.ts";
import { KINDS } from "../../attestation/kinds.ts";
import { readPolicy } from "../../attestation/policy/policy.ts";
import { createVerifier } from "../../attestation/policy/policy_verifier.ts";
import { TestWorld } from "../../cli/testing/command_line.ts";
import { measureTrust } from "../../nodelock/measure.ts";
import { systemClock } from "../../platform/clock.ts";
import { BootstrapError } from "../../platform/errors.ts";
import { silentLog } from "../../platform/log.ts";
import { PolicyInForce } from "../../service/policy_in_force.ts";
import { InitWorld } from "./init_world.ts";
import { TestMachine } from "./join_machine.ts";
import { TestCluster } from "./join_world.ts";
import { ToyMachine } from "./toy_kind.ts";

const example = await Deno.readTextFile(new URL("../../deploy/node-worker.example.yaml", import.meta.url));
const configuration = `${example.replace(/^evidence:\n(?: .*\n)*/m, "")}\nevidence: { variant: toy }\n`;
const now = () => new Date("2026-01-01");

/** The only line that adds the kind. */
const withToy = (machine: ToyMachine) => [...KINDS, machine.kind];

/** A node of the kind, with its configuration. */
async function startWorld(machine: ToyMachine, text = configuration): Promise<TestWorld> {
  const world = await TestWorld.create({ kinds: withToy(machine) });
  await world.write("etc/bootstrapper/config.yaml", text);
  return world;
}

/** The policy that `evidence` prints of a machine, without its control plane. */
async function policyOf(machine: ToyMachine): Promise<string> {
  await using world = await startWorld(machine);
  assert.equal(await world.run("evidence"), 0, world.err);
  return world.out;
}

Deno.test("a kind that is only in the list: evidence, measure, policy make, explain, registers and verify", async () => {
  const machine = await ToyMachine.create();
  await using world = await startWorld(machine);
  const path = (name: string) => join(world.root, name);
  const [config, file, policy] = [path("etc/bootstrapper/config.yaml"), path("toy.json"), path("policy.yaml")];

  assert.equal(await world.run("measure", "--output", "json"), 0, world.err);
  const { pcr12 } = JSON.parse(world.out);
  assert.equal(await world.run("policy", "registers", "--config", config, "--output", "json"), 0, world.err);
  assert.equal(JSON.parse(world.out).clusterIdKnown.toyTrust, pcr12);

  assert.equal(await world.run("evidence", "--output", "json"), 0, world.err);
  const printed = JSON.parse(world.out);
  assert.deepEqual([printed.variant, printed.toy.image, printed.ekType], ["toy", "07".repeat(32), undefined]);
  assert.equal(printed.identity, machine.identity);
  assert.equal(await world.run("evidence", "--out", file), 0, world.err);
  const [evidence] = readEvidenceFile(await Deno.readFile(file), file).evidence;
  assert.ok(evidence !== undefined && machine.made(evidence));

  assert.equal(await world.run("policy", "make", file, "--control-plane", machine.identity), 0, world.err);
  assert.match(world.out, /A toy proves nothing to anybody/);
  await Deno.writeTextFile(policy, world.out);
  assert.equal(await world.run("policy", "make", file, "--control-plane", "00".repeat(32)), 2);
  assert.match(world.err, /the control plane 0{64} is none of the trusted identities/);
  assert.equal(await world.run("policy", "make", file, "--without-pcr", "4"), 2);
  assert.match(world.err, /usage\/policy-sources/);

  assert.equal(await world.run("policy", "explain", file, "--policy", policy, "--output", "json"), 0, world.err);
  const unjudged = JSON.parse(world.out);
  const verdicts = unjudged.checks.map(({ check, verdict }: { check: string; verdict: string }) => [check, verdict]);
  assert.deepEqual(verdicts.slice(-3, -1), [["pcr-20", "not judged"], ["pcr-21", "not judged"]]);
  assert.match(unjudged.remarks.join(), /the toy's two registers/);
  assert.equal(unjudged.role, "control-plane");
  for (const command of [["policy", "explain"], ["verify"]]) {
    const args = [...command, file, "--policy", policy, "--config", config, "--output", "json"];
    assert.equal(await world.run(...args), 0, world.err);
    assert.deepEqual(JSON.parse(world.out).refusal, null);
  }
  const otherConfig = await world.write("other.yaml", configuration.replace("clusterName: ", "clusterName: not-"));
  assert.equal(await world.run("verify", file, "--policy", policy, "--config", otherConfig), 3);
  assert.match(world.err, /refused\/pcr-20/);
});

Deno.test("a kind that is only in the list: an operator founds a cluster on such a machine, and on no other", async () => {
  const [machine, stranger] = [await ToyMachine.create(), await ToyMachine.create()];
  const policyDocument = await policyOf(machine);
  const policy = readPolicy(policyDocument, "the policy", withToy(machine));
  const verifier = createVerifier(policy, "init", NO_COLLATERAL, now);
  await using world = await InitWorld.start({ machine });
  const cluster = await world.found({ verifier, policyDocument });
  assert.equal(world.lock.state().name, "locked");
  assert.ok(cluster.clusterId.startsWith("sha256:"));
  await using other = await InitWorld.start({ machine: stranger });
  await assert.rejects(other.found({ verifier, policyDocument }), { code: "refused/identity" });
  other.stop(new BootstrapError("aborted/run", "The test is over"));
});

Deno.test("a kind that is only in the list: such a machine joins by the policy in force, and one of another image does not", async () => {
  const toy = await ToyMachine.create();
  const kinds = withToy(toy);
  const policies = new PolicyInForce({
    ...{ document: await policyOf(toy), kinds, clock: systemClock, log: silentLog },
    createVerifier: (policy) => createVerifier(policy, "node", NO_COLLATERAL, now),
    readFile: () => Promise.reject(new Error("no test reads it")),
    findConfigMap: () => Promise.resolve(undefined),
    kept: undefined,
    keep: () => Promise.resolve(),
  });
  await using cluster = await TestCluster.create({ verifier: policies.current().verifier });
  await measureTrust(toy, cluster.trust);
  await using machine = await TestMachine.create();
  assert.equal(await machine.run(cluster.trust, [cluster.port], { issuer: toy }), "joined");
  assert.deepEqual(cluster.admissions.records.map(({ identity }) => identity), [toy.identity]);

  const changed = await ToyMachine.create(new Uint8Array(32).fill(8));
  await measureTrust(changed, cluster.trust);
  await using refused = await TestMachine.create();
  const stop = () => refused.stop.abort();
  const running = refused.run(cluster.trust, [cluster.port], { issuer: changed }, { onEndpointFailure: stop });
  await assert.rejects(running);
  assert.deepEqual(cluster.refusals, ["refused/pcr-22"]);
});

Deno.test("a kind that is not in the list is refused by name, and never taken for another", async () => {
  const machine = await ToyMachine.create();
  const policy = await policyOf(machine);
  assert.throws(() => readPolicy(policy, "the policy"), {
    code: "usage/document",
    message: /"toy" is none of tpm, snp, tdx, none/,
  });
  await using world = await TestWorld.create();
  await world.write("etc/bootstrapper/config.yaml", configuration);
  assert.equal(await world.run("evidence"), 2);
  assert.match(world.err, /evidence\.variant/);
});
