/**
 * Attacks on the operator by the evidence of a node, most with a real software TPM. What must hold after every one of them:
 * the operator signed nothing but the hello, sent nothing but the hello and a challenge, and recorded nothing.
 *
 * @module
 */
import assert from "node:assert/strict";
import { activationAnswer } from "../../attestation/activation.ts";
import type { ActivationChallenge, Evidence, EvidenceIssuer } from "../../attestation/evidence.ts";
import { createInsecureIdentity, createInsecureIssuer } from "../../attestation/none/issuer.ts";
import { createInsecureVerifier } from "../../attestation/none/verifier.ts";
import { extendedOnce, lockDigest, trustDigest } from "../../attestation/transcript.ts";
import { errorText } from "../../cli/output.ts";
import { InitWorld, TestOperator, trustIn } from "../../init/_testing.ts";
import { ShownMachine } from "../../init/_testing_machine.ts";
import { measureLock, measureTrust } from "../../nodelock/measure.ts";
import type { Bytes } from "../../platform/bytes.ts";
import { hex, randomBytes } from "../../platform/bytes.ts";
import { asBootstrapError, BootstrapError } from "../../platform/errors.ts";
import type { TpmMachine } from "./_attacks.ts";
import {
  evidenceBySoftware,
  evidenceByUnrestrictedKey,
  pcrsWith,
  startTpmMachine,
  swtpmTest,
  verifierFor,
} from "./_attacks.ts";
import type { Meeting, NodePlay, OperatorPlay } from "./_init_attacks.ts";
import { assertFresh, honestly, initByHand, playNode, refusedByOperator, startHostileNode } from "./_init_attacks.ts";

/** What a TPM gives for a challenge; rubbish where it does not open it. */
const opened = (issuer: Pick<EvidenceIssuer, "activate">, challenge: ActivationChallenge) =>
  issuer.activate(challenge).catch(() => randomBytes(32));

await swtpmTest("an honest machine is founded, by the same operation again after its caller had gone", async () => {
  // Without this the attacks below would prove nothing.
  await using machine = await startTpmMachine();
  const goOn = Promise.withResolvers<void>();
  await using world = await InitWorld.start({ machine: machine.issuer, onFound: () => goOn.promise });
  const verifier = verifierFor(machine);
  const caller = new AbortController();
  const onProgress = ({ phase }: { readonly phase: string }) => phase === "kubeadm-init" && caller.abort();
  await assert.rejects(world.found({ verifier, signal: caller.signal, onProgress }));
  const record = await world.operator.record();
  assert.deepEqual([record?.state, record?.identity], ["pending", machine.identity]);
  goOn.resolve();
  const cluster = await world.found({ verifier, expectIdentity: machine.identity });
  assert.equal(cluster.clusterId, `sha256:${record?.clusterId}`);
  const state = world.lock.state();
  assert(state.name === "locked");
  assert.deepEqual(await machine.issuer.read(15), await extendedOnce(await lockDigest(state.lock.clusterId)));
  assert.equal(world.foundings, 1);
});

await swtpmTest("attack: evidence", async (t) => {
  await using machine = await startTpmMachine();
  await using attacker = await startTpmMachine();
  await using operator = await TestOperator.create();
  const trust = trustIn(operator.keys);
  const { issuer } = machine;
  await measureTrust(issuer, trust);
  await measureTrust(attacker.issuer, trust);
  const trustRegister = await extendedOnce(await trustDigest(trust));
  const refused = (play: NodePlay, code: string, meeting: Meeting = {}) =>
    refusedByOperator(operator, play, code, { verifier: verifierFor(machine), ...meeting });

  await t.step("of another session is relayed", async () => {
    // A quote over the A1 of another connection. Stopped by the verifier's check of extraData against A1.
    let recorded: Evidence | undefined;
    const record = async (a1: Bytes) => recorded = await issuer.issue(a1);
    await refused({ evidence: record, answer: () => Promise.resolve(new Uint8Array(32)) }, "refused/activation");
    assert.ok(recorded !== undefined);
    await refused({ evidence: () => Promise.resolve(recorded) }, "refused/statement");
  });

  await t.step("is a quote by an unrestricted key", async () => {
    // Such a key also signs what never was in the TPM. Stopped by the attributes that the verifier wants of the AK.
    const error = await refused({ evidence: (a1) => evidenceByUnrestrictedKey(machine, a1) }, "refused/ak-attributes");
    assert.match(String(error.details["expected"]), /^restricted, /);
  });

  await t.step("is by a software AK, with the real EK of a good machine", async () => {
    // Flawless in itself; but the challenge is sealed to that EK and that AK's name, and no TPM opens it.
    // Stopped by checkActivationAnswer().
    const evidence = (a1: Bytes) => evidenceBySoftware(machine.endorsementKey, a1, pcrsWith({ 12: trustRegister }));
    await refused({ evidence, answer: () => Promise.resolve(randomBytes(32)) }, "refused/activation");
    // The good machine's own TPM does not help either: it has no such AK.
    const oracle: NodePlay["answer"] = async (challenge, a1) => activationAnswer(await opened(issuer, challenge), a1);
    await refused({ evidence, answer: oracle }, "refused/activation");
  });

  await t.step("is a good machine's, and another TPM answers the challenge", async () => {
    // Stopped by checkActivationAnswer(): only the TPM of that EK opens it, and only for its own AK.
    const answer: NodePlay["answer"] = async (challenge, a1) =>
      activationAnswer(await opened(attacker.issuer, challenge), a1);
    await refused({ ...honestly(issuer), answer }, "refused/activation");
  });

  await t.step("is a good machine's, and the answer is for another connection", async () => {
    // The secret is right, but the HMAC is over another A1. Stopped by checkActivationAnswer().
    const answer: NodePlay["answer"] = async (challenge) =>
      activationAnswer(await issuer.activate(challenge), randomBytes(32));
    await refused({ ...honestly(issuer), answer }, "refused/activation");
  });

  await t.step("is of an EK that the policy does not list", async () => {
    const error = await refused(honestly(attacker.issuer), "refused/ek-identity");
    assert.equal(error.details["seen"], attacker.identity);
  });

  await t.step("is of a machine that the policy lists, but the operator does not expect", async () => {
    // Stopped by `--expect-identity` in foundOnNode().
    const verifier = verifierFor(machine, attacker);
    const expectIdentity = machine.identity;
    const error = await refused(honestly(attacker.issuer), "refused/identity", { verifier, expectIdentity });
    assert.deepEqual([error.details["expected"], error.details["seen"]], [machine.identity, attacker.identity]);
  });

  await t.step("is missing", async () => {
    await refused({ evidence: () => Promise.resolve(undefined) }, "refused/evidence");
  });

  await t.step("names a variant of the node's choice", async () => {
    // Stopped by the verifier, which is configured with the one variant that it reads.
    const none = createInsecureIssuer(createInsecureIdentity());
    await refused({ evidence: (a1) => none.issue(a1) }, "refused/variant");
    await refused({ evidence: async (a1) => ({ ...await issuer.issue(a1), variant: "none" }) }, "refused/variant");
    await refused({ evidence: async (a1) => ({ ...await issuer.issue(a1), variant: "" }) }, "refused/variant");
    const verifier = createInsecureVerifier();
    await refused({ evidence: (a1) => issuer.issue(a1) }, "refused/variant", { verifier });
  });

  await t.step("is rubbish", async () => {
    for (const payload of [new Uint8Array(), randomBytes(900), new Uint8Array(60_000)]) {
      const node = await startHostileNode((session, hello, received) =>
        playNode(session, hello, { evidence: () => Promise.resolve({ variant: "tpm", payload }) }, received)
      );
      const error = await operator.found(node.endpoint, { verifier: verifierFor(machine) }).catch(asBootstrapError);
      await node[Symbol.asyncDispose]();
      assert.ok(error instanceof BootstrapError && /^(?:malformed|refused)\//.test(error.code), String(error));
      assert.deepEqual([node.received, await operator.record()], [[], undefined]);
    }
  });
});

/** Asserts that an operator refuses the honest evidence of a machine for one of its PCRs, and names it. */
async function refusedForPcr(
  machine: TpmMachine,
  pcr: number,
  operator: TestOperator,
  play = {},
): Promise<BootstrapError> {
  const verifier = verifierFor(machine);
  const error = await refusedByOperator(operator, { ...honestly(machine.issuer), ...play }, `refused/pcr-${pcr}`, {
    verifier,
  });
  assert.match(error.message, new RegExp(`PCR ${pcr} `));
  assert.equal(error.details["seen"], hex(await machine.issuer.read(pcr)));
  return error;
}

await swtpmTest("attack: PCR 4 shows another boot", async () => {
  // Stopped by checkPcrs() of the verifier.
  await using machine = await startTpmMachine();
  await using operator = await TestOperator.create();
  await measureTrust(machine.issuer, trustIn(operator.keys));
  await machine.issuer.extend(4, randomBytes(32));
  const error = await refusedForPcr(machine, 4, operator);
  assert.equal(error.details["expected"], "0".repeat(64));
});

await swtpmTest("an operator who refuses a node for several registers is shown all of them", async () => {
  await using machine = await startTpmMachine();
  await using operator = await TestOperator.create();
  await machine.issuer.extend(4, randomBytes(32));
  const error = await refusedForPcr(machine, 12, operator);
  assert.deepEqual(error.checks.map(({ check }) => check), ["pcr-12", "pcr-4"]);
  assert.deepEqual([error.checks[1]?.expected, error.checks[1]?.seen], [
    "0".repeat(64),
    hex(await machine.issuer.read(4)),
  ]);
  assert.match(errorText(error), /check +pcr-4: PCR 4 .*\n +expected +0{64}\n +seen +[0-9a-f]{64}\n/);
});

await swtpmTest("attack: PCR 12 holds the trust part of another configuration", async (t) => {
  // A genuine machine that also obeys somebody else, or would be captured by another cluster.
  // Stopped by checkPcrs(): the operator expects ext(D12) of its own name and keys, without a cluster ID.
  await using operator = await TestOperator.create();
  await using stranger = await TestOperator.create();
  const trust = trustIn(operator.keys);
  const trusts = {
    "one more operator": trustIn(operator.keys, stranger.keys),
    "another operator": trustIn(stranger.keys),
    "another name": { ...trust, clusterName: "prod" },
    "a cluster's ID": { ...trust, clusterId: randomBytes(32) },
  };
  for (const [name, other] of Object.entries(trusts)) {
    await t.step(name, async () => {
      await using machine = await startTpmMachine();
      await measureTrust(machine.issuer, other);
      await refusedForPcr(machine, 12, operator);
    });
  }
  await t.step("nothing was measured", async () => {
    await using machine = await startTpmMachine();
    await refusedForPcr(machine, 12, operator);
  });
});

await swtpmTest("attack: PCR 15 is set already", async (t) => {
  await using operator = await TestOperator.create();
  const clusterId = randomBytes(32);
  const cases = { "by the lock of another cluster": randomBytes(32), "by the lock of the proposed one": clusterId };
  for (const [name, locked] of Object.entries(cases)) {
    await t.step(name, async () => {
      // A node that was founded or has joined already. Stopped by checkPcrs(): without a record it must be zero.
      await using machine = await startTpmMachine();
      await measureTrust(machine.issuer, trustIn(operator.keys));
      await measureLock(machine.issuer, locked);
      const error = await refusedForPcr(machine, 15, operator, { clusterId });
      assert.equal(error.details["expected"], "0".repeat(64));
    });
  }
});

await swtpmTest(
  "attack: a machine says that it is the one of the operator's record",
  async (t) => {
    // Founding again would found a second cluster of the name. Stopped by registersFor() and checkRecord().
    await using machine = await startTpmMachine();
    await using attacker = await startTpmMachine();
    const verifier = verifierFor(machine, attacker);
    const caller = new AbortController();
    const never = () => (caller.abort(), new Promise<never>(() => {}));
    await using world = await InitWorld.start({ machine: machine.issuer, onFound: never });
    const { operator } = world;
    await assert.rejects(world.found({ verifier, signal: caller.signal }));
    const record = await operator.record();
    assert(record?.state === "pending");
    const state = world.lock.state();
    assert(state.name === "locked");
    const { clusterId } = state.lock;
    await measureTrust(attacker.issuer, world.trust);
    await t.step("an unlocked one, with the recorded cluster", async () => {
      await refusedByOperator(operator, { ...honestly(attacker.issuer), clusterId }, "refused/pcr-15", { verifier });
    });
    await t.step("an unlocked one, with a new cluster", async () => {
      const error = await refusedByOperator(operator, honestly(attacker.issuer), "precondition/cluster-exists", {
        verifier,
      });
      assert.equal(error.details["identity"], machine.identity);
    });
    await t.step("one that is locked to the recorded cluster", async () => {
      await measureLock(attacker.issuer, clusterId);
      const play = { ...honestly(attacker.issuer), clusterId };
      await refusedByOperator(operator, play, "precondition/cluster-exists", { verifier });
    });
  },
);

await swtpmTest(
  "attack: an operator has a node's TPM open a challenge that is not for it",
  async () => {
    // An operator who uses the node's TPM as an oracle. Stopped by TPM2_ActivateCredential: the node says so and stays fresh.
    await using machine = await startTpmMachine();
    await using attacker = await startTpmMachine();
    await using world = await InitWorld.start({ machine: machine.issuer });
    const registers = { trust: [await attacker.issuer.read(12)], lock: [new Uint8Array(32)] };
    const statement = randomBytes(32);
    const other = await verifierFor(attacker).verify(await attacker.issuer.issue(statement), statement, registers);
    assert(other.challenge !== undefined);
    const software = await evidenceBySoftware(machine.endorsementKey, statement, pcrsWith({}));
    const wrongKey = await verifierFor(machine).verify(software, statement, {
      trust: [new Uint8Array(32)],
      lock: [new Uint8Array(32)],
    });
    assert(wrongKey.challenge !== undefined);
    const rubbish = { credentialBlob: randomBytes(70), encryptedSecret: randomBytes(70) };
    for (const challenge of [other.challenge.message, wrongKey.challenge.message, rubbish]) {
      const play: OperatorPlay = { challenge };
      const error = await initByHand(world, play).then(() => assert.fail("it went on"), asBootstrapError);
      assert.equal(error.details["saidBy"], "peer", String(error));
      await assertFresh(world);
      assert.deepEqual(await machine.issuer.read(15), new Uint8Array(32));
    }
  },
);

Deno.test("development: evidence of variant none founds a cluster where both sides are told to, and only there", async () => {
  const registers = new ShownMachine();
  const { issue, activate, ownIdentity } = createInsecureIssuer(createInsecureIdentity());
  const machine = {
    ...{ variant: "none" as const, isChallenged: false, issue, activate, ownIdentity },
    read: (index: number) => registers.read(index),
    extend: (index: number, digest: Uint8Array) => registers.extend(index, digest),
  };
  await using world = await InitWorld.start({ machine });
  await assert.rejects(world.found(), { code: "refused/variant" });
  assert.equal(world.operator.signatures, 1);
  await assertFresh(world);
  await world.found({ verifier: createInsecureVerifier() });
});
