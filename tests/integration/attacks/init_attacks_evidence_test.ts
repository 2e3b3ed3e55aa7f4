/**
 * Attacks on the operator with a node's evidence. Each is made for every kind of evidence, with two exceptions: attacks
 * on the parts that only a TPM's evidence has (keys, activation, the operator who uses the TPM as an oracle), and the
 * lock on SEV-SNP, which has no register for it. After every attack the operator has signed only the hello, has sent
 * only the hello and a challenge, and has recorded nothing.
 *
 * @module
 */
import { FRESH, NO_IDENTITY } from "../../../attestation/evidence.ts";
import assert from "node:assert/strict";
import { activationAnswer, checkActivationAnswer } from "../../../protocol/activation.ts";
import type { ActivationChallenge, Evidence, EvidenceIssuer } from "../../../attestation/evidence.ts";
import { createInsecureIssuer } from "../../../attestation/kinds/none/issuer.ts";
import { createInsecureVerifier } from "../../../attestation/kinds/none/verifier.ts";
import { createTpmIssuer } from "../../../attestation/kinds/tpm/issuer.ts";
import { createTpmVerifier } from "../../../attestation/kinds/tpm/verifier.ts";
import { verifyNode } from "../../../operator/exchange_client.ts";
import { initExpectation } from "../../../operator/expectation.ts";
import { foundOnNode } from "../../../operator/init_client.ts";
import { checkRecord } from "../../../operator/operation_record.ts";
import { extendedOnce, initA1, trustDigest } from "../../../protocol/transcript.ts";
import { InitWorld, TestOperator, trustIn } from "../../exchanges/init_world.ts";
import { ShownMachine } from "../../exchanges/init_machine.ts";
import { measureLock, measureTrust } from "../../../nodelock/measure.ts";
import type { Bytes } from "../../../platform/bytes.ts";
import { concat, hex, randomBytes } from "../../../platform/bytes.ts";
import { asBootstrapError, BootstrapError } from "../../../platform/errors.ts";
import type { InitServerMessage } from "../../../proto/gen/bootstrapper.ts";
import {
  evidenceBySoftware,
  evidenceByUnrestrictedKey,
  pcrsWith,
  startTpmMachine,
  swtpmTest,
  verifierFor,
} from "./attacks.ts";
import type { Meeting, NodePlay, OperatorPlay } from "./init_attacks.ts";
import { assertFresh, honestly, initByHand, playNode, refusedByOperator, startHostileNode } from "./init_attacks.ts";
import { INIT_STATEMENTS } from "./statements.ts";
import { assertThrownBy, attack } from "./stopped_by.ts";
import type { VariantMachine } from "./variants.ts";
import { VARIANTS, variantTest } from "./variants.ts";

const LOCKABLE = Object.values(VARIANTS).filter(({ checks }) => checks.lock !== undefined);

/** The TPM's answer to a challenge; invalid bytes if it does not open the challenge. */
const opened = (issuer: Pick<EvidenceIssuer, "activate">, challenge: ActivationChallenge) =>
  issuer.activate(challenge).catch(() => randomBytes(32));

await variantTest(
  "an honest machine is founded, by the same operation again after its caller had gone",
  async (_t, variant) => {
    // Without this test the attacks below would prove nothing. TDX takes its identity from the cluster that it
    // proposes.
    await using machine = await variant.start();
    const goOn = Promise.withResolvers<void>();
    await using world = await InitWorld.start({ machine: machine.issuer, onFound: () => goOn.promise });
    const verifier = variant.verifierFor(machine);
    const caller = new AbortController();
    const onProgress = ({ phase }: { readonly phase: string }) => phase === "kubeadm-init" && caller.abort();
    await assert.rejects(world.found({ verifier, signal: caller.signal, onProgress }));
    const record = await world.operator.record();
    const identity = machine.identity || record?.clusterId || "";
    assert.deepEqual([record?.state, record?.identity], ["pending", identity]);
    goOn.resolve();
    const cluster = await world.found({ verifier, expectIdentity: identity });
    assert.equal(cluster.clusterId, `sha256:${record?.clusterId}`);
    assert.equal(world.lock.state().name, "locked");
    assert.equal(world.foundings, 1);
  },
);

await variantTest("attack: evidence of a node in an Init", async (t, variant) => {
  await using machine = await variant.start();
  await using attacker = await variant.start();
  await using operator = await TestOperator.create();
  const trust = trustIn(operator.keys);
  const { issuer } = machine;
  const { checks, stoppers } = variant;
  await measureTrust(issuer, trust);
  await measureTrust(attacker.issuer, trust);
  const refused = (play: NodePlay, check: string, meeting: Meeting = {}) =>
    refusedByOperator(operator, play, `refused/${check}`, { verifier: variant.verifierFor(machine), ...meeting });

  await t.step(attack("replay: evidence of another connection is sent again", stoppers.statement), async () => {
    // RA-TLS without a nonce. The node made the evidence for a hello of the same operator, but A1 contains CB and both
    // nonces.
    const received: InitServerMessage[] = [];
    await using world = await InitWorld.start({ operator, machine: issuer });
    await initByHand(world, { received, message: (m) => ({ ...m, signature: randomBytes(64) }) }).catch(() => {});
    const [first] = received;
    assert.ok(first?.message?.$case === "proposal");
    const { evidence } = first.message.proposal;
    assert.ok(evidence !== undefined);
    await refused({ evidence: () => Promise.resolve(evidence) }, checks.statement);
    await refused(
      { evidence: () => Promise.resolve(evidence), clusterId: first.message.proposal.clusterId },
      checks.statement,
    );
  });

  await t.step(attack("diversion: the same image on another machine", stoppers.hardware), async () => {
    // "Identity Crisis": the measurement is the policy's, but the machine is the attacker's own. The policy pins more
    // than the measurement: the EK, the chip or the platform.
    const error = await refused(honestly(attacker.issuer), checks.hardware);
    assert.equal(error.details["seen"], attacker.hardware);
  });

  const unexpected = attack(
    "diversion: a machine that the policy lists, but the operator does not expect",
    foundOnNode,
  );
  await t.step(unexpected, async () => {
    // With `--expect-identity`. For TDX no identity is known before the cluster exists, so every identity is a
    // different one.
    const verifier = variant.verifierFor(machine, attacker);
    const expectIdentity = machine.identity || hex(randomBytes(32));
    const error = await refused(honestly(attacker.issuer), "identity", { verifier, expectIdentity });
    assert.equal(error.details["expected"], expectIdentity);
  });

  const others = "cross-protocol and reflection: evidence over other statements of this very connection";
  await t.step(attack(others, initA1, stoppers.statement), async (t) => {
    // A statement of another exchange or direction, or the operator's own values sent back (Fraunhofer cmc #406). Only
    // A1 of an Init has the tag "init".
    for (const [name, statement] of Object.entries(INIT_STATEMENTS)) {
      await t.step(name, async () => {
        await refused({ evidence: async (_a1, seen) => issuer.issue(await statement(seen)) }, checks.statement);
      });
    }
  });

  await t.step(attack("evidence for another operator's hello", initA1, stoppers.statement), async () => {
    // A1 contains the operator's key.
    const evidence: NodePlay["evidence"] = async (_a1, seen) =>
      issuer.issue(await initA1({ ...seen, operatorKey: randomBytes(seen.operatorKey.length) }));
    await refused({ evidence }, checks.statement);
  });

  await t.step(attack("evidence that is missing", verifyNode), async () => {
    await refused({ evidence: () => Promise.resolve(undefined) }, "evidence");
  });

  await t.step(attack("downgrade: another variant, or fewer", stoppers.verifier), async () => {
    // A verifier is configured with the one variant that it reads. The peer never chooses the variant.
    const none = createInsecureIssuer(randomBytes(32));
    await refused({ evidence: (a1) => none.issue(a1) }, "variant");
    for (const name of ["none", "", "tpm,snp", "TPM", `${variant.name}+none`, "none+tpm"]) {
      await refused({ evidence: async (a1) => ({ ...await issuer.issue(a1), variant: name }) }, "variant");
    }
    await refused({ evidence: (a1) => issuer.issue(a1) }, "variant", { verifier: createInsecureVerifier() });
    for (const other of Object.values(VARIANTS).filter(({ name }) => name !== variant.name)) {
      await using foreign = await other.start();
      await measureTrust(foreign.issuer, trust);
      await refused({ evidence: (a1) => foreign.issuer.issue(a1) }, "variant");
    }
  });

  await t.step(attack("stripped and changed evidence", stoppers.form, stoppers.statement), async () => {
    // The readers are strict, and signatures cover the bytes that they read.
    const changes: readonly ((payload: Uint8Array) => Uint8Array)[] = [
      (payload) => payload.subarray(0, -1),
      (payload) => concat(payload, Uint8Array.of(0)),
      () => new Uint8Array(),
      () => randomBytes(900),
      () => new Uint8Array(60_000),
      (payload) => payload.with(payload.length >> 1, (payload[payload.length >> 1] ?? 0) ^ 1),
    ];
    for (const change of changes) {
      const evidence = async (a1: Bytes): Promise<Evidence> => {
        const { variant, payload } = await issuer.issue(a1);
        return { variant, payload: change(payload) };
      };
      const node = await startHostileNode((session, hello, received) =>
        playNode(session, hello, { evidence }, received)
      );
      const verifier = variant.verifierFor(machine);
      const error = await operator.found(node.endpoint, { verifier }).catch(asBootstrapError);
      await node[Symbol.asyncDispose]();
      assert.ok(error instanceof BootstrapError && /^(?:malformed|refused)\//.test(error.code), String(error));
      assert.deepEqual([node.received, await operator.record()], [[], undefined]);
    }
  });
});

await swtpmTest("attack: a TPM's evidence by other keys than its own, in an Init", async (t) => {
  await using machine = await startTpmMachine();
  await using attacker = await startTpmMachine();
  await using operator = await TestOperator.create();
  const trust = trustIn(operator.keys);
  const { issuer } = machine;
  await measureTrust(issuer, trust);
  await measureTrust(attacker.issuer, trust);
  const trustRegister = await extendedOnce(await trustDigest(trust));
  const refused = (play: NodePlay, code: string) =>
    refusedByOperator(operator, play, code, { verifier: verifierFor(machine) });

  await t.step(attack("a quote by an unrestricted key", createTpmVerifier), async () => {
    // Such a key also signs data that was never in the TPM. The verifier requires attributes of the AK that prevent
    // this.
    const error = await refused({ evidence: (a1) => evidenceByUnrestrictedKey(machine, a1) }, "refused/ak-attributes");
    assert.match(error.message, /not restricted/);
  });

  await t.step(attack("a software AK, with the real EK of a good machine", checkActivationAnswer), async () => {
    // The evidence is correct by itself, but the challenge is sealed to that EK and that AK's name, and no TPM opens
    // it.
    const evidence = (a1: Bytes) => evidenceBySoftware(machine.endorsementKey, a1, pcrsWith({ 12: trustRegister }));
    await refused({ evidence, answer: () => Promise.resolve(randomBytes(32)) }, "refused/activation");
    // The good machine's own TPM does not help either, as it does not have such an AK.
    const oracle: NodePlay["answer"] = async (challenge, a1) => activationAnswer(await opened(issuer, challenge), a1);
    await refused({ evidence, answer: oracle }, "refused/activation");
  });

  await t.step(attack("a good machine's, and another TPM answers the challenge", checkActivationAnswer), async () => {
    // Only the TPM with that EK opens the challenge, and only for its own AK.
    const answer: NodePlay["answer"] = async (challenge, a1) =>
      activationAnswer(await opened(attacker.issuer, challenge), a1);
    await refused({ ...honestly(issuer), answer }, "refused/activation");
  });

  const otherConnection = attack("a good machine's, and the answer is for another connection", checkActivationAnswer);
  await t.step(otherConnection, async () => {
    // The secret is right, but the HMAC is over another A1.
    const answer: NodePlay["answer"] = async (challenge) =>
      activationAnswer(await issuer.activate(challenge), randomBytes(32));
    await refused({ ...honestly(issuer), answer }, "refused/activation");
  });
});

await variantTest(({ stoppers }) => attack("attack: another image in an Init", stoppers.image), async (_t, variant) => {
  await using machine = await variant.start();
  await using operator = await TestOperator.create();
  await measureTrust(machine.issuer, trustIn(operator.keys));
  await machine.changeImage();
  await refusedByOperator(operator, honestly(machine.issuer), `refused/${variant.checks.image}`, {
    verifier: variant.verifierFor(machine),
  });
});

const otherTrust = "attack: the trust part of another configuration in an Init";
await variantTest(({ stoppers }) => attack(otherTrust, stoppers.trust, initExpectation), async (t, variant) => {
  // A genuine machine that also obeys another operator, or that another cluster would capture. In PCR 12, HOST_DATA or
  // MRCONFIGID the operator expects D12 of its own name and keys, without a cluster ID.
  await using operator = await TestOperator.create();
  await using stranger = await TestOperator.create();
  const trust = trustIn(operator.keys);
  const code = `refused/${variant.checks.trust}`;
  const refused = (machine: VariantMachine) =>
    refusedByOperator(operator, honestly(machine.issuer), code, { verifier: variant.verifierFor(machine) });
  const trusts = {
    "one more operator": trustIn(operator.keys, stranger.keys),
    "another operator": trustIn(stranger.keys),
    "another name": { ...trust, clusterName: "prod" },
    "a cluster's ID": { ...trust, clusterId: randomBytes(32) },
  };
  for (const [name, other] of Object.entries(trusts)) {
    await t.step(name, async () => {
      await using machine = await variant.start();
      await measureTrust(machine.issuer, other);
      await refused(machine);
    });
  }
  await t.step("nothing was measured", async () => {
    await using machine = await variant.start();
    await refused(machine);
  });
});

const lockedAlready = "attack: a machine that is locked already, in an Init";
await variantTest(({ stoppers }) => attack(lockedAlready, stoppers.lock, initExpectation), async (t, variant) => {
  await using operator = await TestOperator.create();
  const clusterId = randomBytes(32);
  const cases = { "by the lock of another cluster": randomBytes(32), "by the lock of the proposed one": clusterId };
  for (const [name, locked] of Object.entries(cases)) {
    await t.step(name, async () => {
      // A node that was already founded or has joined. Without a record, PCR 15 or RTMR 3 must be zero.
      await using machine = await variant.start();
      await measureTrust(machine.issuer, trustIn(operator.keys));
      await measureLock(machine.issuer, locked);
      const play = { ...honestly(machine.issuer), clusterId };
      const code = `refused/${variant.checks.lock}`;
      const error = await refusedByOperator(operator, play, code, { verifier: variant.verifierFor(machine) });
      assert.match(error.details["expected"] ?? "", /^0+$/);
    });
  }
}, LOCKABLE);

await variantTest("attack: a machine says that it is the one of the operator's record", async (t, variant) => {
  // A second founding would create a second cluster of the same name.
  await using machine = await variant.start();
  await using attacker = await variant.start();
  const verifier = variant.verifierFor(machine, attacker);
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
  const { checks: { lock }, stoppers } = variant;
  if (lock !== undefined) {
    await t.step(attack("an unlocked one, with the recorded cluster", stoppers.lock, initExpectation), async () => {
      const play = { ...honestly(attacker.issuer), clusterId };
      await refusedByOperator(operator, play, `refused/${lock}`, { verifier });
    });
  }
  await t.step(attack("an unlocked one, with a new cluster", checkRecord), async () => {
    const play = honestly(attacker.issuer);
    const error = await refusedByOperator(operator, play, "precondition/cluster-exists", { verifier });
    assertThrownBy(error, checkRecord);
    assert.equal(error.details["identity"], machine.identity || hex(clusterId));
  });
  // The identity of a TD is its cluster's key. A TD that is locked to that cluster and proposes it may continue, and
  // must show the CA's key at the end.
  if (machine.identity === "") return;
  await t.step(attack("one that is locked to the recorded cluster", checkRecord), async () => {
    await measureLock(attacker.issuer, clusterId);
    const play = { ...honestly(attacker.issuer), clusterId };
    await refusedByOperator(operator, play, "precondition/cluster-exists", { verifier });
  });
});

await swtpmTest(
  attack("attack: an operator has a node's TPM open a challenge that is not for it", createTpmIssuer),
  async () => {
    // An operator who uses the node's TPM as an oracle. TPM2_ActivateCredential fails; the node reports that and stays
    // fresh.
    await using machine = await startTpmMachine();
    await using attacker = await startTpmMachine();
    await using world = await InitWorld.start({ machine: machine.issuer });
    const digest = randomBytes(32);
    await attacker.issuer.extend(12, digest);
    const expectation = { trust: [digest], lock: [FRESH], identity: NO_IDENTITY };
    const statement = randomBytes(32);
    const other = await verifierFor(attacker).verify(await attacker.issuer.issue(statement), statement, expectation);
    assert(other.challenge !== undefined);
    const software = await evidenceBySoftware(
      machine.endorsementKey,
      statement,
      pcrsWith({ 12: await extendedOnce(digest) }),
    );
    const wrongKey = await verifierFor(machine).verify(software, statement, expectation);
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
  const { issue, activate, ownIdentity } = createInsecureIssuer(randomBytes(32));
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
