import { TPM_ACCEPTED } from "../attestation/testing/trust.ts";
import assert from "node:assert/strict";
import type { EvidenceCheck } from "../attestation/evidence.ts";
import { generateKeyPair } from "../certificate/keys.ts";
import { randomBytes } from "../platform/bytes.ts";
import { BootstrapError } from "../platform/errors.ts";
import { CLUSTER_NAME, InitWorld } from "../tests/exchanges/init_world.ts";
import { ShownMachine, shownVerifier } from "../tests/exchanges/init_machine.ts";
import type { FreshNode } from "./verify_fresh_node.ts";
import { verifyFreshNode } from "./verify_fresh_node.ts";

function nodeOf({ endpoint, operator: { keys } }: InitWorld, changes: Partial<FreshNode> = {}): FreshNode {
  const { signal } = new AbortController();
  return {
    endpoint,
    clusterName: CLUSTER_NAME,
    operator: keys,
    operatorKeys: [keys.spki],
    accepts: () => TPM_ACCEPTED,
    signal,
    ...changes,
  };
}

Deno.test("verifyFreshNode() verifies a node with its challenge, signs only the hello, and leaves it fresh", async () => {
  await using world = await InitWorld.start();
  const checks: EvidenceCheck[] = [];
  const { claims } = await verifyFreshNode(nodeOf(world), shownVerifier, (check) => checks.push(check));
  assert.ok(claims.fresh);
  assert.deepEqual(checks.map(({ check, passed }) => [check, passed]), [["activation", true]]);
  assert.equal(world.operator.signatures, 1);
  assert.equal(await world.operator.record(), undefined);
  await verifyFreshNode(nodeOf(world), shownVerifier);
  assert.deepEqual([world.lock.state().name, await world.hasStaged(), world.foundings], ["unlocked", false, 0]);
  await world.found();
  assert.equal(world.foundings, 1);
});

Deno.test("verifyFreshNode() refuses a node that cannot answer the challenge, and says so among the checks", async () => {
  class Liar extends ShownMachine {
    override activate() {
      return Promise.resolve(randomBytes(32));
    }
  }
  await using world = await InitWorld.start({ machine: new Liar() });
  const checks: EvidenceCheck[] = [];
  await assert.rejects(verifyFreshNode(nodeOf(world), shownVerifier, (check) => checks.push(check)), {
    code: "refused/activation",
  });
  assert.deepEqual(checks.map(({ check, passed }) => [check, passed]), [["activation", false]]);
  assert.equal(world.lock.state().name, "unlocked");
});

Deno.test("verifyFreshNode() refuses a node of another configuration, and one that is locked already", async () => {
  const caller = new AbortController();
  const goOn = Promise.withResolvers<void>();
  await using world = await InitWorld.start({
    onFound: () => {
      caller.abort();
      return goOn.promise;
    },
  });
  const stranger = await generateKeyPair("ed25519");
  const { operator: { keys } } = world;
  await assert.rejects(verifyFreshNode(nodeOf(world, { clusterName: "other" }), shownVerifier), {
    code: "refused/pcr-12",
  });
  const operatorKeys = [keys.spki, stranger.spki];
  await assert.rejects(verifyFreshNode(nodeOf(world, { operatorKeys }), shownVerifier), { code: "refused/pcr-12" });
  await assert.rejects(verifyFreshNode(nodeOf(world, { operator: stranger }), shownVerifier), {
    code: "unauthorized/operator",
  });
  await assert.rejects(world.found({ signal: caller.signal }));
  assert.equal(world.lock.state().name, "locked");
  await assert.rejects(verifyFreshNode(nodeOf(world), shownVerifier), { code: "refused/pcr-15" });
  goOn.resolve();
  await world.found();
  assert.equal(world.foundings, 1);
});

Deno.test("verifyFreshNode() fails with unavailable/init-server when nothing answers, and ends when its signal aborts", async () => {
  await using world = await InitWorld.start();
  const aborted = verifyFreshNode(nodeOf(world, { signal: AbortSignal.abort() }), shownVerifier);
  await assert.rejects(aborted, { code: "aborted/dial" });
  world.stop(new BootstrapError("aborted/run", "The node goes"));
  await world.served.catch(() => {});
  await assert.rejects(verifyFreshNode(nodeOf(world), shownVerifier), { code: "unavailable/init-server" });
});
