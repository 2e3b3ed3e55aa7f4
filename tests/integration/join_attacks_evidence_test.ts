import assert from "node:assert/strict";
import { join } from "node:path";
import { activationAnswer } from "../../attestation/activation.ts";
import type { ActivationChallenge, Evidence } from "../../attestation/evidence.ts";
import { extendedOnce, lockDigest, trustDigest } from "../../attestation/transcript.ts";
import { generateKeyPair } from "../../certificate/keys.ts";
import { newInsecureIssuer, TestCluster } from "../../join/_testing.ts";
import { readStatus, statusRefusal, StatusWriter } from "../../node/status.ts";
import { measureLock, measureTrust } from "../../nodelock/measure.ts";
import type { Bytes } from "../../platform/bytes.ts";
import { hex, randomBytes } from "../../platform/bytes.ts";
import { systemClock } from "../../platform/clock.ts";
import type { FailedCheck } from "../../platform/errors.ts";
import { asBootstrapError, BootstrapError } from "../../platform/errors.ts";
import { silentLog } from "../../platform/log.ts";
import type { TpmMachine } from "./_attacks.ts";
import {
  evidenceBySoftware,
  evidenceByUnrestrictedKey,
  pcrsWith,
  startTpmMachine,
  swtpmTest,
  verifierFor,
} from "./_attacks.ts";
import { assertUntouched, firstFailure, joinByHand, NODE_NAME, refusedByService } from "./_join_attacks.ts";

/** A cluster whose policy lists machines that are made first. */
async function clusterOf(...machines: readonly Pick<TpmMachine, "identity">[]): Promise<TestCluster> {
  return await TestCluster.create({ verifier: verifierFor(...machines) });
}

await swtpmTest("an honest machine gets its ticket, fresh, and again after it locked", async () => {
  // Without this the attacks below would prove nothing.
  await using machine = await startTpmMachine();
  await using cluster = await clusterOf(machine);
  await measureTrust(machine.issuer, cluster.trust);
  await joinByHand(cluster.port, { issuer: machine.issuer });
  assert.equal(cluster.admissions.records[0]?.identity, machine.identity);
  await measureLock(machine.issuer, cluster.clusterId);
  await joinByHand(cluster.port, { issuer: machine.issuer });
  assert.deepEqual(cluster.signed, [NODE_NAME, NODE_NAME]);
});

await swtpmTest("an honest machine that is configured with the cluster's ID gets its ticket", async () => {
  await using machine = await startTpmMachine();
  await using cluster = await clusterOf(machine);
  await measureTrust(machine.issuer, { ...cluster.trust, clusterId: cluster.clusterId });
  await joinByHand(cluster.port, { issuer: machine.issuer });
  assert.deepEqual(cluster.signed, [NODE_NAME]);
});

await swtpmTest("attack: evidence", async (t) => {
  await using machine = await startTpmMachine();
  await using attacker = await startTpmMachine();
  await using cluster = await clusterOf(machine);
  const { issuer } = machine;
  await measureTrust(issuer, cluster.trust);
  await measureTrust(attacker.issuer, cluster.trust);
  const trustRegister = await extendedOnce(await trustDigest(cluster.trust));

  await t.step("of another session is relayed", async () => {
    // A quote over the A2 of another connection. Stopped by the verifier's check of extraData against A2.
    let recorded: Evidence | undefined;
    await joinByHand(cluster.port, {
      evidence: async (a2) => recorded = await issuer.issue(a2),
      answer: () => Promise.resolve(new Uint8Array(32)),
    }).catch(() => {});
    assert.ok(recorded !== undefined);
    await refusedByService(cluster, { evidence: () => Promise.resolve(recorded) }, "refused/statement");
  });

  await t.step("is a quote by an unrestricted key", async () => {
    // Such a key also signs what never was in the TPM. Stopped by the attributes that the verifier wants of the AK.
    const evidence = (a2: Bytes) => evidenceByUnrestrictedKey(machine, a2);
    const error = await refusedByService(cluster, { issuer, evidence }, "refused/ak-attributes");
    assert.match(String(error.details["expected"]), /^restricted, /);
  });

  await t.step("is by a software AK, with the real EK of a good machine", async () => {
    // Flawless in itself; but the challenge is sealed to that EK and that AK's name, and no TPM opens it.
    // Stopped by checkActivationAnswer().
    const pcrs = pcrsWith({ 12: trustRegister });
    const evidence = (a2: Bytes) => evidenceBySoftware(machine.endorsementKey, a2, pcrs);
    const answer = () => Promise.resolve(randomBytes(32));
    await refusedByService(cluster, { evidence, answer }, "refused/activation");
    // The good machine's own TPM does not help either: it has no such AK.
    const oracle = async (challenge: ActivationChallenge, a2: Bytes) =>
      await activationAnswer(await issuer.activate(challenge).catch(() => randomBytes(32)), a2);
    await refusedByService(cluster, { evidence, answer: oracle }, "refused/activation");
  });

  await t.step("is a good machine's, and another TPM answers the challenge", async () => {
    // Stopped by checkActivationAnswer(): only the TPM of that EK opens it, and only for its own AK.
    const answer = async (challenge: ActivationChallenge, a2: Bytes) =>
      await activationAnswer(await attacker.issuer.activate(challenge).catch(() => randomBytes(32)), a2);
    await refusedByService(cluster, { issuer, answer }, "refused/activation");
  });

  await t.step("is a good machine's, and the answer is for another connection", async () => {
    // The secret is right, but the HMAC is over another A2. Stopped by checkActivationAnswer().
    const answer = async (challenge: ActivationChallenge) =>
      await activationAnswer(await issuer.activate(challenge), randomBytes(32));
    await refusedByService(cluster, { issuer, answer }, "refused/activation");
  });

  await t.step("is of an EK that the policy does not list", async () => {
    const error = await refusedByService(cluster, { issuer: attacker.issuer }, "refused/ek-identity");
    assert.equal(error.details["seen"], attacker.identity);
  });

  await t.step("names a variant of the peer's choice", async () => {
    // Stopped by the verifier, which is configured with the one variant that it reads.
    await refusedByService(cluster, { issuer: newInsecureIssuer() }, "refused/variant");
    const evidence = async (a2: Bytes) => ({ ...await issuer.issue(a2), variant: "none" });
    await refusedByService(cluster, { evidence }, "refused/variant");
  });

  await t.step("is nothing, or rubbish", async () => {
    const rubbish = (payload: Uint8Array) => () => Promise.resolve({ variant: "tpm", payload });
    for (const payload of [new Uint8Array(), randomBytes(900), new Uint8Array(30_000)]) {
      const error = await joinByHand(cluster.port, { evidence: rubbish(payload) }).catch(asBootstrapError);
      assert.ok(error instanceof BootstrapError && /^(?:malformed|refused)\//.test(error.code), String(error));
    }
    const tooLarge = joinByHand(cluster.port, { evidence: rubbish(new Uint8Array(60_000)) });
    await assert.rejects(tooLarge, { code: "protocol/message-size" });
  });
  assertUntouched(cluster);
});

await swtpmTest("attack: PCR 4 shows another boot, and both sides say so", async () => {
  // Stopped by checkPcrs() of the verifier; the refusal names the register, expected and seen, at the node too.
  await using machine = await startTpmMachine();
  await using cluster = await clusterOf(machine);
  await measureTrust(machine.issuer, cluster.trust);
  await machine.issuer.extend(4, randomBytes(32));
  const seen = hex(await machine.issuer.read(4));
  const error = await firstFailure(cluster.port, cluster.trust, machine.issuer);
  assert.equal(error.code, "refused/pcr-4");
  const said = cluster.events.find(({ event }) => event === "join-refused");
  for (const details of [error.details, said ?? {}]) {
    assert.equal(details["expected"], "0".repeat(64));
    assert.equal(details["seen"], seen);
  }
  assert.match(error.message, /PCR 4/);
  assertUntouched(cluster);
});

await swtpmTest(
  "a node that is refused for several registers hears of all of them, and writes them into its status",
  async () => {
    await using machine = await startTpmMachine();
    await using cluster = await clusterOf(machine);
    for (const index of [4, 12]) await machine.issuer.extend(index, randomBytes(32));
    const error = await firstFailure(cluster.port, cluster.trust, machine.issuer);
    assert.equal(error.code, "refused/pcr-12");
    const expected = [
      ["pcr-12", (await acceptableTrust(cluster)).join(", "), hex(await machine.issuer.read(12))],
      ["pcr-4", "0".repeat(64), hex(await machine.issuer.read(4))],
    ];
    const shown = (checks: readonly FailedCheck[]) =>
      checks.map(({ check, expected, seen }) => [check, expected, seen]);
    assert.deepEqual(shown(error.checks), expected);
    const said = cluster.events.find(({ event }) => event === "join-refused");
    assert.deepEqual(said?.["checks"], error.checks);
    const folder = await Deno.makeTempDir();
    try {
      const path = join(folder, "status.json");
      const lastRefusal = statusRefusal(error, new Date(), "the service");
      await new StatusWriter({ path, clock: systemClock, log: silentLog }).update({ lastRefusal });
      assert.deepEqual(shown((await readStatus(path))?.lastRefusal?.checks ?? []), expected);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
    assertUntouched(cluster);
  },
);

/** What PCR 12 may hold: the cluster's name and operators, with no cluster ID or its own. */
function acceptableTrust({ trust, clusterId }: TestCluster): Promise<string[]> {
  return Promise.all(
    [trust, { ...trust, clusterId }].map(async (part) => hex(await extendedOnce(await trustDigest(part)))),
  );
}

await swtpmTest("attack: PCR 12 holds the trust part of another configuration", async (t) => {
  // A genuine machine that also obeys somebody else, or takes the cluster's name for another's.
  // Stopped by checkPcrs(): the service expects ext(D12) of its own name and keys.
  const stranger = await generateKeyPair("ed25519");
  const operator = await generateKeyPair("ed25519");
  const trusts = {
    "one more operator": { operatorKeys: [operator.spki, stranger.spki] },
    "another operator": { operatorKeys: [stranger.spki] },
    "another name": { clusterName: "prod" },
    "another cluster's ID": { clusterId: randomBytes(32) },
  };
  for (const [name, changes] of Object.entries(trusts)) {
    await t.step(name, async () => {
      await using machine = await startTpmMachine();
      await using cluster = await TestCluster.create({ operator, verifier: verifierFor(machine) });
      await measureTrust(machine.issuer, { ...cluster.trust, ...changes });
      const error = await refusedByService(cluster, { issuer: machine.issuer }, "refused/pcr-12");
      assert.match(error.message, /PCR 12/);
    });
  }
  await t.step("nothing was measured", async () => {
    await using machine = await startTpmMachine();
    await using cluster = await clusterOf(machine);
    await refusedByService(cluster, { issuer: machine.issuer }, "refused/pcr-12");
  });
});

await swtpmTest("attack: PCR 15 is set already", async (t) => {
  await t.step("by the lock of another cluster", async () => {
    // Stopped by checkPcrs(): zero, or the own cluster's lock.
    await using machine = await startTpmMachine();
    await using cluster = await clusterOf(machine);
    await measureTrust(machine.issuer, cluster.trust);
    await measureLock(machine.issuer, randomBytes(32));
    await refusedByService(cluster, { issuer: machine.issuer }, "refused/pcr-15");
  });
  await t.step("by this cluster's lock, on a machine that was never admitted", async () => {
    // A member whose record an operator removed. Stopped by checkPolicy(), before anything is issued.
    await using machine = await startTpmMachine();
    await using cluster = await clusterOf(machine);
    await measureTrust(machine.issuer, cluster.trust);
    await measureLock(machine.issuer, cluster.clusterId);
    const error = await refusedByService(cluster, { issuer: machine.issuer }, "refused/pcr-15");
    assert.equal(error.details["expected"], "0".repeat(64));
    assert.equal(error.details["seen"], hex(await extendedOnce(await lockDigest(cluster.clusterId))));
  });
  await t.step("by this cluster's lock, on a member that asks for another name or role", async () => {
    // A compromised member. Stopped by checkPolicy().
    await using machine = await startTpmMachine();
    await using cluster = await TestCluster.create({ verifier: verifierFor(machine) });
    await measureTrust(machine.issuer, cluster.trust);
    await cluster.admissions.admit({
      ...{ identity: machine.identity, nodeName: "worker-7", role: "worker", nodeKey: "" },
      ...{ addresses: [], evidenceDigest: "" },
    });
    await measureLock(machine.issuer, cluster.clusterId);
    const error = await refusedByService(cluster, { issuer: machine.issuer }, "refused/pcr-15");
    assert.match(error.message, /not admitted as worker worker-1/);
    await refusedByService(cluster, { issuer: machine.issuer, request: { role: "control-plane" } }, "refused/role");
  });
});
