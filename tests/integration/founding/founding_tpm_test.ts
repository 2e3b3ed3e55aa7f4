/** Founders with real software TPMs. */
import assert from "node:assert/strict";
import { meetFounder } from "../../../founding/exchange_client.ts";
import { checkStatement, peerExpectation } from "../../../founding/peer_check.ts";
import { measureLock } from "../../../nodelock/measure.ts";
import { randomBytes } from "../../../platform/bytes.ts";
import { newFounding, TestFounder } from "../../exchanges/founders.ts";
import type { TpmMachine } from "../attacks/attacks.ts";
import { startTpmMachine, swtpmTest, verifierFor } from "../attacks/attacks.ts";
import { attack } from "../attacks/stopped_by.ts";

/** Starts machines with TPMs of their own. */
async function startMachines(stack: AsyncDisposableStack, count: number): Promise<readonly TpmMachine[]> {
  const machines = await Promise.all([...Array(count)].map(startTpmMachine));
  for (const machine of machines) stack.use(machine);
  return machines;
}

for (const mode of ["evidence", "both"] as const) {
  await swtpmTest(`three founders agree by the evidence of their TPMs, in the mode ${mode}`, async () => {
    await using stack = new AsyncDisposableStack();
    const machines = await startMachines(stack, 3);
    const founding = { ...await newFounding(mode), verifier: verifierFor(...machines) };
    const founders: TestFounder[] = [];
    const endpoints: { host: string; port: number }[] = [];
    for (const [index, name] of ["a", "b", "c"].entries()) {
      const { issuer } = machines[index] ?? assert.fail();
      const founder = stack.use(await TestFounder.create(name, founding, [...endpoints], { machine: issuer }));
      endpoints.push(await founder.start());
      founders.push(founder);
    }
    const states = await Promise.all(founders.map((founder) => founder.agreed()));
    for (const { view: { entries } } of states) {
      const identities = machines.map(({ identity }) => identity).toSorted();
      assert.deepEqual(entries.map(({ identity }) => identity).toSorted(), identities);
    }
  });
}

/** Lets a machine dial a founder, after a change, and returns why it is refused. */
async function refusedFounder(change: (peer: TpmMachine) => Promise<unknown>) {
  await using stack = new AsyncDisposableStack();
  const [one, other] = await startMachines(stack, 2);
  assert.ok(one !== undefined && other !== undefined);
  const founding = { ...await newFounding("evidence", 2), verifier: verifierFor(one, other) };
  const victim = stack.use(await TestFounder.create("victim", founding, [], { machine: one.issuer }));
  const peers = [await victim.start()];
  const peer = stack.use(await TestFounder.create("peer", founding, peers, { machine: other.issuer }));
  await change(other);
  await peer.start();
  const { dials } = await peer.until(({ dials }) => dials[0]?.error !== undefined, "refused");
  assert.deepEqual(victim.meeting.state.view.present, []);
  return dials[0]?.error ?? assert.fail();
}

await swtpmTest(attack("attack: a listed TPM under another image wants to found", checkStatement), async () => {
  const error = await refusedFounder(({ issuer }) => issuer.extend(4, randomBytes(32)));
  assert.equal(error.code, "refused/pcr-4");
});

await swtpmTest(attack("attack: a member of a cluster poses as fresh, by its TPM", peerExpectation), async () => {
  const error = await refusedFounder(({ issuer }) => measureLock(issuer, randomBytes(32)));
  assert.equal(error.code, "refused/pcr-15");
});

await swtpmTest(attack("attack: a machine measured another trust part than it shows", peerExpectation), async () => {
  const error = await refusedFounder(({ issuer }) => issuer.extend(12, randomBytes(32)));
  assert.equal(error.code, "refused/pcr-12");
});

await swtpmTest(attack("attack: a TPM that the policy does not list", meetFounder, checkStatement), async () => {
  await using stack = new AsyncDisposableStack();
  const [one, other] = await startMachines(stack, 2);
  assert.ok(one !== undefined && other !== undefined);
  const founding = await newFounding("evidence", 2);
  const strict = { ...founding, verifier: verifierFor(one) };
  const victim = stack.use(await TestFounder.create("victim", strict, [], { machine: one.issuer }));
  const lax = { ...founding, verifier: verifierFor(one, other) };
  const stranger = stack.use(
    await TestFounder.create("stranger", lax, [await victim.start()], { machine: other.issuer }),
  );
  await stranger.start();
  const { dials } = await stranger.until(({ dials }) => dials[0]?.error !== undefined, "refused");
  const { code = "", message = "", checks = [] } = dials[0]?.error ?? {};
  // It is no machine that the policy knows, so it hears a code, and nothing of the policy.
  assert.deepEqual([code, message, checks], ["refused/ek-identity", "The peer refused: refused/ek-identity", []]);
});
