/** `verify` and `policy make` against a fresh node with a real software TPM. Neither changes the node. */
import { tpmOf } from "../../../attestation/testing/sections.ts";
import assert from "node:assert/strict";
import { join } from "node:path";
import { NO_COLLATERAL } from "../../../attestation/collateral.ts";
import { issueEvidenceFile, writeEvidenceFile } from "../../../attestation/evidence_file.ts";
import { readPolicy } from "../../../attestation/policy/policy.ts";
import { createVerifier } from "../../../attestation/policy/policy_verifier.ts";
import { generateKeyPair, type KeyPair, privateKeyPem } from "../../../certificate/keys.ts";
import { operatorKeyLine } from "../../../certificate/operator_key.ts";
import { TestWorld } from "../../../cli/testing/command_line.ts";
import { CLUSTER_NAME, InitWorld, TestOperator } from "../../exchanges/init_world.ts";
import { randomBytes } from "../../../platform/bytes.ts";
import { startTpmMachine, swtpmTest, type TpmMachine } from "../attacks/attacks.ts";
import { assertFresh } from "../attacks/init_attacks.ts";

/** A node, and its operator's command line. */
interface Scene extends AsyncDisposable {
  readonly node: InitWorld;
  readonly machine: TpmMachine;
  readonly cli: TestWorld;
  /** `--node` and its further arguments, with the given operator's key. */
  args(keys?: KeyPair): Promise<readonly string[]>;
  path(name: string): string;
}

async function startScene(colleagues: readonly TestOperator[] = [], isLiar = false): Promise<Scene> {
  const stack = new AsyncDisposableStack();
  const machine = stack.use(await startTpmMachine());
  const { issuer } = machine;
  const liar = {
    ...issuer,
    read: (index: number) => issuer.read(index),
    extend: (index: number, digest: Uint8Array) => issuer.extend(index, digest),
    issue: (statement: Uint8Array) => issuer.issue(statement),
    activate: () => Promise.resolve(randomBytes(32)),
    ownIdentity: (bound: string) => issuer.ownIdentity(bound),
  };
  const node = stack.use(await InitWorld.start({ machine: isLiar ? liar : issuer, colleagues }));
  const cli = stack.use(await TestWorld.create());
  const path = (name: string) => join(cli.root, name);
  return {
    ...{ node, machine, cli, path },
    async args(keys = node.operator.keys) {
      await cli.write("operator.key", await privateKeyPem(keys));
      return ["--node", node.endpoint, "--name", CLUSTER_NAME, "--key", path("operator.key")];
    },
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

await swtpmTest(
  "policy make makes a policy of a fresh node, verify accepts it, and it is initialised afterwards",
  async () => {
    await using scene = await startScene();
    const { node, machine, cli, path } = scene;
    const args = await scene.args();
    const names = ["--name-of", `${machine.identity}=node-1`, "*=worker-*"];
    assert.equal(await cli.run("policy", "make", ...args, "--control-plane", machine.identity, ...names), 0, cli.err);
    assert.match(cli.out, new RegExp(`^# Made from ${node.endpoint}\\.\n`));
    await cli.write("policy.yaml", cli.out);
    await assertFresh(node);

    assert.equal(await cli.run("verify", ...args, "--policy", path("policy.yaml")), 0, cli.err);
    assert.match(
      cli.out,
      new RegExp(`^Verdict: accepted\n +identity +${machine.identity}\n +role +control-plane\n\nChecks:\n`),
    );
    assert.match(cli.out, /\n {2}pcr-12 +ok/);
    assert.match(cli.out, /\n {2}activation +ok/);
    assert.doesNotMatch(cli.out, /Note:|not judged/);
    assert.equal(await cli.run("verify", ...args, "--policy", path("policy.yaml"), "--output", "json"), 0, cli.out);
    const { verdict, checks, remarks } = JSON.parse(cli.out);
    assert.deepEqual([verdict, checks.at(-1).check, remarks], ["accepted", "activation", []]);
    assert.deepEqual(cli.kept, ["env", "net", "read"]);
    await assertFresh(node);

    const policy = readPolicy(await Deno.readTextFile(path("policy.yaml")), "it");
    const cluster = await node.found({ verifier: createVerifier(policy, "init", NO_COLLATERAL, () => new Date()) });
    assert.match(cluster.clusterId, /^sha256:/);
    assert.equal(node.foundings, 1);
  },
);

await swtpmTest("verify refuses a fresh node with 3, and shows every check", async () => {
  await using scene = await startScene();
  const { node, cli, path } = scene;
  const args = await scene.args();
  assert.equal(await cli.run("policy", "make", ...args), 0, cli.err);
  await cli.write("policy.yaml", cli.out.replace(/("?4"?:\n +- )"0{64}"/, `$1"${"44".repeat(32)}"`));
  const judged = [...args, "--policy", path("policy.yaml")];
  assert.equal(await cli.run("verify", ...judged), 3);
  assert.match(cli.out, /^Verdict: refused \(refused\/pcr-4\)/);
  assert.match(cli.out, /\n {2}pcr-4 +REFUSED.*\n +expected +(?:44){32}\n +seen +0{64}\n/);
  assert.match(cli.out, /\nPCR 4, quoted as 0{64}: there is no event log to explain it\./);
  assert.match(cli.err, /code +refused\/pcr-4/);
  assert.equal(await cli.run("verify", ...judged, "--output", "json"), 3);
  assert.equal(JSON.parse(cli.out).error.code, "refused/pcr-4");
  await assertFresh(node);
});

await swtpmTest("a fresh node shows its evidence to its operators only, and every operator must be known", async () => {
  await using colleague = await TestOperator.create();
  await using scene = await startScene([colleague]);
  const { node, cli } = scene;
  const stranger = await scene.args(await generateKeyPair("ed25519"));
  assert.equal(await cli.run("policy", "make", ...stranger), 3);
  assert.match(cli.err, /unauthorized\/operator/);
  assert.equal(node.issued, 0);
  const args = await scene.args();
  assert.equal(await cli.run("policy", "make", ...args), 3);
  assert.match(cli.err, /refused\/pcr-12/);
  const other = await cli.write("colleague.pub", operatorKeyLine(colleague.keys.spki));
  assert.equal(await cli.run("policy", "make", ...args, "--other-operator", other), 0, cli.err);
  await assertFresh(node);
});

await swtpmTest("a node whose TPM cannot answer the challenge gets no policy, and is not verified", async () => {
  await using scene = await startScene([], true);
  const { cli, machine, path } = scene;
  const args = await scene.args();
  assert.equal(await cli.run("policy", "make", ...args), 3);
  assert.match(cli.err, /refused\/activation/);
  assert.equal(cli.out, "");
  // The machine's own evidence, made without a challenge.
  await Deno.writeFile(path("evidence.json"), writeEvidenceFile(await issueEvidenceFile([machine.issuer])));
  assert.equal(await cli.run("policy", "make", path("evidence.json")), 0, cli.err);
  await cli.write("policy.yaml", cli.out);
  assert.equal(await cli.run("verify", ...args, "--policy", path("policy.yaml")), 3);
  assert.match(cli.out, /^Verdict: refused \(refused\/activation\)/);
  assert.match(cli.out, /\n {2}activation +REFUSED/);
});

await swtpmTest(
  "policy make accepts evidence files along with a node, and an unreachable node is reported as retriable",
  async () => {
    await using scene = await startScene();
    await using good = await startTpmMachine();
    const { cli, machine, path } = scene;
    const args = await scene.args();
    await Deno.writeFile(path("good.json"), writeEvidenceFile(await issueEvidenceFile([good.issuer])));
    assert.equal(await cli.run("policy", "make", path("good.json"), ...args), 0, cli.err);
    const { trust } = tpmOf(readPolicy(cli.out, "it"));
    assert.deepEqual([...trust.identities].sort(), [good.identity, machine.identity].sort());
    assert.equal(await cli.run("policy", "make", ...args.with(1, "127.0.0.1:1")), 4);
    assert.match(cli.err, /unavailable\/init-server/);
  },
);
