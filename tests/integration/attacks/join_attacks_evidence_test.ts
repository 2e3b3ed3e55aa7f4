/**
 * Attacks on a join service with a node's evidence. Each is made for every kind of evidence, with two exceptions:
 * attacks on the parts that only a TPM's evidence has (keys, activation), and the lock on SEV-SNP, which has no
 * register for it. After every attack there is no record, nothing was signed, and no ticket has left the service.
 *
 * @module
 */
import assert from "node:assert/strict";
import { activationAnswer, checkActivationAnswer } from "../../../protocol/activation.ts";
import { combineVerifiers, decodeEvidenceSet, encodeEvidenceSet } from "../../../attestation/combined.ts";
import type { ActivationChallenge, Evidence } from "../../../attestation/evidence.ts";
import { createTpmVerifier } from "../../../attestation/kinds/tpm/verifier.ts";
import { serveJoin } from "../../../service/exchange_service.ts";
import { extendedOnce, joinA2, lockDigest, trustDigest } from "../../../protocol/transcript.ts";
import { generateKeyPair } from "../../../certificate/keys.ts";
import { newInsecureIssuer, newNodeKeys, TestCluster } from "../../exchanges/join_world.ts";
import { measureLock, measureTrust } from "../../../nodelock/measure.ts";
import type { Bytes } from "../../../platform/bytes.ts";
import { concat, hex, randomBytes } from "../../../platform/bytes.ts";
import { identityOfKey } from "../../../protocol/node_keys.ts";
import { asBootstrapError, BootstrapError } from "../../../platform/errors.ts";
import {
  evidenceBySoftware,
  evidenceByUnrestrictedKey,
  pcrsWith,
  startTpmMachine,
  swtpmTest,
  verifierFor,
} from "./attacks.ts";
import type { Hostility } from "./join_attacks.ts";
import { assertUntouched, firstFailure, joinByHand, NODE_NAME, refusedByService } from "./join_attacks.ts";
import { JOIN_STATEMENTS } from "./statements.ts";
import type { Stopper } from "./stopped_by.ts";
import { attack } from "./stopped_by.ts";
import type { TestVariant, VariantMachine } from "./variants.ts";
import { VARIANTS, variantTest } from "./variants.ts";

/** A cluster whose policy lists these machines, which must exist before it. */
async function clusterOf(variant: TestVariant, ...machines: readonly VariantMachine[]): Promise<TestCluster> {
  return await TestCluster.create({ verifier: variant.verifierFor(...machines) });
}

await variantTest("an honest machine gets its ticket, fresh, and again after it locked", async (_t, variant) => {
  // Without this test the attacks below would prove nothing.
  await using machine = await variant.start();
  await using cluster = await clusterOf(variant, machine);
  const { issuer } = machine;
  const keys = await newNodeKeys();
  await measureTrust(issuer, cluster.trust);
  await joinByHand(cluster.port, { issuer, keys });
  const identity = machine.identity || await identityOfKey(keys.identity.spki);
  assert.equal(cluster.admissions.records[0]?.identity, identity);
  await measureLock(issuer, cluster.clusterId);
  await joinByHand(cluster.port, { issuer, keys });
  assert.deepEqual(cluster.signed, [NODE_NAME, NODE_NAME]);
});

await variantTest("an honest machine that is configured with the cluster's ID gets its ticket", async (_t, variant) => {
  await using machine = await variant.start();
  await using cluster = await clusterOf(variant, machine);
  await measureTrust(machine.issuer, { ...cluster.trust, clusterId: cluster.clusterId });
  await joinByHand(cluster.port, { issuer: machine.issuer });
  assert.deepEqual(cluster.signed, [NODE_NAME]);
});

await variantTest("attack: a node's evidence", async (t, variant) => {
  await using machine = await variant.start();
  await using attacker = await variant.start();
  await using cluster = await clusterOf(variant, machine);
  const { issuer } = machine;
  await measureTrust(issuer, cluster.trust);
  await measureTrust(attacker.issuer, cluster.trust);
  const { checks, stoppers } = variant;
  const refused = (hostility: Hostility, check: string) => refusedByService(cluster, hostility, `refused/${check}`);

  await t.step(attack("replay: evidence of another connection is sent again", stoppers.statement), async () => {
    // RA-TLS without a nonce. But A2 contains CB and both nonces.
    let recorded: Evidence | undefined;
    const record = async (a2: Bytes) => recorded = await issuer.issue(a2);
    // The sender records the evidence and breaks off, so the request was never answered.
    await joinByHand(cluster.port, { evidence: record, message: (m) => ({ ...m, signature: randomBytes(64) }) })
      .catch(() => {});
    assert.ok(recorded !== undefined);
    await refused({ issuer, evidence: () => Promise.resolve(recorded) }, checks.statement);
  });

  await t.step(attack("diversion: the same image on another machine", stoppers.hardware), async () => {
    // "Identity Crisis": the measurement is the policy's, but the machine is the attacker's own. The policy pins more
    // than the measurement: the EK, the chip or the platform.
    const error = await refused({ issuer: attacker.issuer }, checks.hardware);
    // An endorsement key that nobody knows hears the code alone. The log shows it to the operator.
    const said = cluster.events.findLast(({ event }) => event === "join-refused");
    assert.equal(error.details["seen"] ?? said?.["seen"], attacker.hardware);
  });

  const others = "cross-protocol and reflection: evidence over other statements of this very connection";
  await t.step(attack(others, joinA2, stoppers.statement), async (t) => {
    // A statement of another exchange or direction, or the peer's own values sent back (Fraunhofer cmc #406). Only A2
    // of a Join has the tag "node".
    for (const [name, statement] of Object.entries(JOIN_STATEMENTS)) {
      await t.step(name, async () => {
        const evidence: Hostility["evidence"] = async (_a2, seen) => issuer.issue(await statement(seen));
        await refused({ issuer, evidence }, checks.statement);
      });
    }
  });

  await t.step(attack("evidence of one node's key with another key", joinA2, stoppers.statement), async () => {
    // The statement names K_c and E_c, so the evidence is useless to a peer with another key.
    const [own, other] = [await newNodeKeys(), await newNodeKeys()];
    for (const stolen of [{ nodeKey: other.node.spki }, { sealingKey: other.sealing.publicKey }]) {
      const evidence: Hostility["evidence"] = async (_a2, seen) =>
        issuer.issue(await joinA2(seen.a1, { ...seen, ...stolen }));
      await refused({ issuer, keys: own, evidence }, checks.statement);
    }
  });

  await t.step(attack("downgrade: another variant, or fewer", stoppers.verifier), async () => {
    // A verifier is configured with the one variant that it reads. The peer never chooses the variant.
    await refused({ issuer: await newInsecureIssuer() }, "variant");
    for (const name of ["none", "", "tpm,snp", "TPM", `${variant.name}+none`, "none+tpm"]) {
      const evidence: Hostility["evidence"] = async (a2) => ({ ...await issuer.issue(a2), variant: name });
      await refused({ issuer, evidence }, "variant");
    }
    for (const other of Object.values(VARIANTS).filter(({ name }) => name !== variant.name)) {
      await using foreign = await other.start();
      await measureTrust(foreign.issuer, cluster.trust);
      await refused({ issuer: foreign.issuer }, "variant");
      const evidence: Hostility["evidence"] = async (a2) => ({
        ...await foreign.issuer.issue(a2),
        variant: variant.name,
      });
      const error = await joinByHand(cluster.port, { evidence }).catch(asBootstrapError);
      assert.ok(error instanceof BootstrapError && /^(?:malformed|refused)\//.test(error.code), String(error));
    }
  });

  await t.step(attack("stripped and changed evidence", stoppers.form, stoppers.statement), async () => {
    // The readers are strict, and signatures cover the bytes that they read.
    const changes: readonly ((payload: Uint8Array) => Uint8Array)[] = [
      (payload) => payload.subarray(0, -1),
      (payload) => payload.subarray(0, payload.length / 2),
      (payload) => concat(payload, Uint8Array.of(0)),
      () => new Uint8Array(),
      () => randomBytes(900),
      () => new Uint8Array(30_000),
      ...[0.01, 0.2, 0.5].map((part) => (payload: Uint8Array) => {
        const at = Math.floor(payload.length * part);
        return payload.with(at, (payload[at] ?? 0) ^ 1);
      }),
    ];
    for (const change of changes) {
      const evidence: Hostility["evidence"] = async (a2) => {
        const { variant, payload } = await issuer.issue(a2);
        return { variant, payload: change(payload) };
      };
      const error = await joinByHand(cluster.port, { issuer, evidence }).catch(asBootstrapError);
      assert.ok(error instanceof BootstrapError && /^(?:malformed|refused)\//.test(error.code), String(error));
    }
    const evidence = () => Promise.resolve({ variant: variant.name, payload: new Uint8Array(60_000) });
    await assert.rejects(joinByHand(cluster.port, { evidence }), { code: "protocol/message-size" });
  });
  assertUntouched(cluster);
});

await variantTest(
  "attack: downgrade of two kinds of evidence to one, or to one and a stranger's",
  async (t, variant) => {
    // All kinds are required, in order, each over the statement of this connection.
    await using machine = await variant.start();
    await using other = await variant.start();
    await using cluster = await clusterOf(variant, machine);
    await measureTrust(machine.issuer, cluster.trust);
    await measureTrust(other.issuer, cluster.trust);
    const [tpm, snp] = machine.parts;
    const [otherTpm, otherSnp] = other.parts;
    assert.ok(tpm && snp && otherTpm && otherSnp);
    const set = (...pieces: readonly Evidence[]) => ({ variant: variant.name, payload: encodeEvidenceSet(pieces) });
    const old = randomBytes(32);
    type Row = readonly [name: string, stoppedBy: Stopper, evidence: (a2: Bytes) => Promise<Evidence>, code: string];
    const attacks: readonly Row[] = [
      ["the TPM's alone", combineVerifiers, (a2) => tpm.issuer.issue(a2), "refused/variant"],
      ["the processor's alone", combineVerifiers, (a2) => snp.issuer.issue(a2), "refused/variant"],
      ["a set of one", decodeEvidenceSet, async (a2) => set(await tpm.issuer.issue(a2)), "malformed/evidence-set"],
      [
        "the TPM's twice",
        combineVerifiers,
        async (a2) => set(await tpm.issuer.issue(a2), await tpm.issuer.issue(a2)),
        "refused/variants",
      ],
      [
        "reordered",
        combineVerifiers,
        async (a2) => set(await snp.issuer.issue(a2), await tpm.issuer.issue(a2)),
        "refused/variants",
      ],
      [
        "reordered, as that name",
        combineVerifiers,
        async (a2) => ({ ...set(await snp.issuer.issue(a2), await tpm.issuer.issue(a2)), variant: "snp+tpm" }),
        "refused/variant",
      ],
      [
        "none in place of the processor's",
        combineVerifiers,
        async (a2) => set(await tpm.issuer.issue(a2), await (await newInsecureIssuer()).issue(a2)),
        "refused/variants",
      ],
      [
        "the processor's of another connection",
        VARIANTS.snp.stoppers.statement,
        async (a2) => set(await tpm.issuer.issue(a2), await snp.issuer.issue(old)),
        "refused/snp-report-data",
      ],
      [
        "the TPM's of another connection",
        VARIANTS.tpm.stoppers.statement,
        async (a2) => set(await tpm.issuer.issue(old), await snp.issuer.issue(a2)),
        "refused/statement",
      ],
      [
        "the processor's of another machine",
        VARIANTS.snp.stoppers.hardware,
        async (a2) => set(await tpm.issuer.issue(a2), await otherSnp.issuer.issue(a2)),
        "refused/snp-chip-id",
      ],
      [
        "the TPM's of another machine",
        VARIANTS.tpm.stoppers.hardware,
        async (a2) => set(await otherTpm.issuer.issue(a2), await snp.issuer.issue(a2)),
        "refused/ek-identity",
      ],
    ];
    for (const [name, stoppedBy, evidence, code] of attacks) {
      await t.step(attack(name, stoppedBy), async () => {
        await refusedByService(cluster, { issuer: machine.issuer, evidence }, code);
      });
    }
  },
  [VARIANTS["tpm+snp"]],
);

await swtpmTest("attack: a TPM's evidence by other keys than its own", async (t) => {
  await using machine = await startTpmMachine();
  await using attacker = await startTpmMachine();
  await using cluster = await TestCluster.create({ verifier: verifierFor(machine) });
  const { issuer } = machine;
  await measureTrust(issuer, cluster.trust);
  await measureTrust(attacker.issuer, cluster.trust);
  const trustRegister = await extendedOnce(await trustDigest(cluster.trust));

  await t.step(attack("a quote by an unrestricted key", createTpmVerifier), async () => {
    // Such a key also signs data that was never in the TPM. The verifier requires attributes of the AK that prevent
    // this.
    const evidence = (a2: Bytes) => evidenceByUnrestrictedKey(machine, a2);
    const error = await refusedByService(cluster, { issuer, evidence }, "refused/ak-attributes");
    assert.match(error.message, /not restricted/);
  });

  await t.step(attack("a software AK, with the real EK of a good machine", checkActivationAnswer), async () => {
    // The evidence is correct by itself, but the challenge is sealed to that EK and that AK's name, and no TPM opens
    // it.
    const pcrs = pcrsWith({ 12: trustRegister });
    const evidence = (a2: Bytes) => evidenceBySoftware(machine.endorsementKey, a2, pcrs);
    const answer = () => Promise.resolve(randomBytes(32));
    await refusedByService(cluster, { evidence, answer, namesIdentity: false }, "refused/activation");
    // The good machine's own TPM does not help either, as it does not have such an AK.
    const oracle = async (challenge: ActivationChallenge, a2: Bytes) =>
      await activationAnswer(await issuer.activate(challenge).catch(() => randomBytes(32)), a2);
    await refusedByService(cluster, { evidence, answer: oracle, namesIdentity: false }, "refused/activation");
  });

  await t.step(attack("a good machine's, and another TPM answers the challenge", checkActivationAnswer), async () => {
    // Only the TPM with that EK opens the challenge, and only for its own AK.
    const answer = async (challenge: ActivationChallenge, a2: Bytes) =>
      await activationAnswer(await attacker.issuer.activate(challenge).catch(() => randomBytes(32)), a2);
    await refusedByService(cluster, { issuer, answer }, "refused/activation");
  });

  const otherConnection = attack("a good machine's, and the answer is for another connection", checkActivationAnswer);
  await t.step(otherConnection, async () => {
    // The secret is right, but the HMAC is over another A2.
    const answer = async (challenge: ActivationChallenge) =>
      await activationAnswer(await issuer.activate(challenge), randomBytes(32));
    await refusedByService(cluster, { issuer, answer }, "refused/activation");
  });
  assertUntouched(cluster);
});

const otherImage = "attack: another image, and both sides say so";
await variantTest(({ stoppers }) => attack(otherImage, stoppers.image), async (_t, variant) => {
  // The refusal names the register with the expected and the seen value, on the node as well.
  await using machine = await variant.start();
  await using cluster = await clusterOf(variant, machine);
  await measureTrust(machine.issuer, cluster.trust);
  await machine.changeImage();
  const error = await firstFailure(cluster.port, cluster.trust, machine.issuer);
  assert.equal(error.code, `refused/${variant.checks.image}`);
  const said = cluster.events.find(({ event }) => event === "join-refused") ?? {};
  for (const detail of ["check", "expected", "seen"]) {
    assert.ok((error.details[detail] ?? "") !== "", detail);
    assert.equal(said[detail], error.details[detail]);
  }
  assert.notEqual(error.details["expected"], error.details["seen"]);
  assertUntouched(cluster);
});

const otherTrust = "attack: the trust part of another configuration";
await variantTest(({ stoppers }) => attack(otherTrust, stoppers.trust, serveJoin), async (t, variant) => {
  // A genuine machine that also obeys another operator, or mistakes another cluster's name for this one's. In PCR 12,
  // HOST_DATA or MRCONFIGID the service expects D12 of its own name and keys.
  const stranger = await generateKeyPair("ed25519");
  const operator = await generateKeyPair("ed25519");
  const code = `refused/${variant.checks.trust}`;
  const trusts = {
    "one more operator": { operatorKeys: [operator.spki, stranger.spki] },
    "another operator": { operatorKeys: [stranger.spki] },
    "another name": { clusterName: "prod" },
    "another cluster's ID": { clusterId: randomBytes(32) },
  };
  for (const [name, changes] of Object.entries(trusts)) {
    await t.step(name, async () => {
      await using machine = await variant.start();
      await using cluster = await TestCluster.create({ operator, verifier: variant.verifierFor(machine) });
      await measureTrust(machine.issuer, { ...cluster.trust, ...changes });
      await refusedByService(cluster, { issuer: machine.issuer }, code);
    });
  }
  await t.step("nothing was measured", async () => {
    await using machine = await variant.start();
    await using cluster = await clusterOf(variant, machine);
    await refusedByService(cluster, { issuer: machine.issuer }, code);
  });
});

await variantTest("attack: a machine that is locked already", async (t, variant) => {
  await t.step(attack("by the lock of another cluster", variant.stoppers.lock), async () => {
    // PCR 15 or RTMR 3 must be zero, or this cluster's lock.
    await using machine = await variant.start();
    await using cluster = await clusterOf(variant, machine);
    await measureTrust(machine.issuer, cluster.trust);
    await measureLock(machine.issuer, randomBytes(32));
    await refusedByService(cluster, { issuer: machine.issuer }, `refused/${variant.checks.lock}`);
  });
  await t.step(attack("by this cluster's lock, on a machine that was never admitted", serveJoin), async () => {
    // A member whose record an operator removed is refused before anything is issued.
    await using machine = await variant.start();
    await using cluster = await clusterOf(variant, machine);
    await measureTrust(machine.issuer, cluster.trust);
    await measureLock(machine.issuer, cluster.clusterId);
    const error = await refusedByService(cluster, { issuer: machine.issuer }, "refused/pcr-15");
    assert.equal(error.details["expected"], "0".repeat(64));
    assert.equal(error.details["seen"], hex(await extendedOnce(await lockDigest(cluster.clusterId))));
  });
  const otherName = attack("by this cluster's lock, on a member that asks for another name or role", serveJoin);
  await t.step(otherName, async () => {
    // A compromised member.
    await using machine = await variant.start();
    await using cluster = await clusterOf(variant, machine);
    const { issuer } = machine;
    const keys = await newNodeKeys();
    await measureTrust(issuer, cluster.trust);
    await cluster.admissions.admit({
      ...{
        identity: machine.identity || await identityOfKey(keys.identity.spki),
        nodeName: "worker-7",
        role: "worker",
      },
      ...{ nodeKey: "", addresses: [], evidenceDigest: "" },
    });
    await measureLock(issuer, cluster.clusterId);
    const error = await refusedByService(cluster, { issuer, keys }, "refused/pcr-15");
    assert.match(error.message, /not admitted as worker worker-1/);
    await refusedByService(cluster, { issuer, keys, request: { role: "control-plane" } }, "refused/role");
  });
}, Object.values(VARIANTS).filter(({ checks }) => checks.lock !== undefined));
