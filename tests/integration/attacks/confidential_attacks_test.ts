/**
 * Attacks on the rules that only confidential VMs have: SEV-SNP has no register for the lock, and the identity of TDX
 * is a key. After every attack there must be no second record, no signature and no sealed kit.
 *
 * Other attacks are in {init,join}_attacks_evidence_test.ts, which makes them for each kind: HOST_DATA and MRCONFIGID
 * of another trust part, RTMR 3 locked to another cluster or locked without an admission, and evidence of one key with
 * another key.
 *
 * @module
 */
import assert from "node:assert/strict";
import { extendedOnce, lockDigest } from "../../../protocol/transcript.ts";
import { createCertificateAuthority } from "../../../certificate/ca.ts";
import { INIT_CLIENT_DEADLINES } from "../../../operator/exchange_client.ts";
import { checkRecord } from "../../../operator/operation_record.ts";
import { checkInitResult } from "../../../operator/result.ts";
import { identityOfKey } from "../../../protocol/node_keys.ts";
import { serveJoin } from "../../../service/exchange_service.ts";
import { AdmissionRecords } from "../../../kubernetes/admission_records.ts";
import { CLUSTER_NAME, InitWorld, TestOperator, trustIn } from "../../exchanges/init_world.ts";
import { abandonCluster } from "../../../operator/cluster_records.ts";
import { newNodeKeys, TestCluster } from "../../exchanges/join_world.ts";
import { TestMachine } from "../../exchanges/join_machine.ts";
import { newKit } from "../../../protocol/testing/kit.ts";
import { sealKit } from "../../../protocol/sealed_kit.ts";
import { measureLock, measureTrust } from "../../../nodelock/measure.ts";
import { hex, randomBytes, sha256 } from "../../../platform/bytes.ts";
import { asBootstrapError, BootstrapError } from "../../../platform/errors.ts";
import { InitRequest } from "../../../proto/gen/bootstrapper.ts";
import { PATIENCE_MS } from "./attacks.ts";
import { honestly, playNode, refusedByOperator, resultFor, signedResult, startHostileNode } from "./init_attacks.ts";
import type { Hostility } from "./join_attacks.ts";
import { joinByHand, NODE_NAME, refusedByService } from "./join_attacks.ts";
import { assertThrownBy, attack } from "./stopped_by.ts";
import type { TestVariant, VariantMachine } from "./variants.ts";
import { VARIANTS, variantTest } from "./variants.ts";

const CONFIDENTIAL = [VARIANTS.snp, VARIANTS.tdx];

/** A cluster whose policy lists these identities as control planes, and the number of kits that were sealed. */
async function clusterWithKeys(variant: TestVariant, ...machines: readonly VariantMachine[]) {
  const { ca, kit } = await newKit();
  const [controlPlanes, sealed] = [new Set<string>(), [] as Uint8Array[]];
  const cluster = await TestCluster.create({
    ca,
    verifier: variant.verifierFor(...machines),
    service: {
      roleOf: (identity) => controlPlanes.has(identity) ? "control-plane" : "worker",
      controlPlanes: {
        enter: () => Promise.resolve(),
        release: () => Promise.resolve(),
        seal: (sealingKey, a2) => (sealed.push(sealingKey), sealKit(sealingKey, a2, kit)),
      },
    },
  });
  for (const { issuer } of machines) await measureTrust(issuer, cluster.trust);
  return { cluster, controlPlanes, sealed };
}

await variantTest(attack("attack: a member asks for a second name or role", AdmissionRecords), async (t, variant) => {
  // A VM without a register for the lock always looks fresh (SNP); a VM with one has not locked yet (TDX). An identity
  // has one name and one role, whatever the VM shows.
  await using machine = await variant.start();
  const { cluster, controlPlanes, sealed } = await clusterWithKeys(variant, machine);
  await using _ = cluster;
  const { issuer } = machine;
  const keys = await newNodeKeys();
  await joinByHand(cluster.port, { issuer, keys });
  assert.deepEqual(cluster.signed, [NODE_NAME]);
  cluster.signed.length = cluster.signedServing.length = 0;
  await t.step("another name", async () => {
    await refusedByService(cluster, { issuer, keys, request: { nodeName: "worker-2" } }, "conflict/identity");
  });
  await t.step("another role, which the policy has given it since", async () => {
    const identity = machine.identity || await identityOfKey(keys.identity.spki);
    controlPlanes.add(identity);
    await refusedByService(cluster, { issuer, keys, request: { role: "control-plane" } }, "conflict/identity");
  });
  await t.step("the same name, by the VM that was started again and has another identity", async () => {
    await using again = await variant.start();
    const verifier = variant.verifierFor(machine, again);
    await using other = await TestCluster.create({ ca: cluster.ca, operator: cluster.operator, verifier });
    other.admissions.records.push(...cluster.admissions.records);
    await measureTrust(again.issuer, other.trust);
    await refusedByService(other, { issuer: again.issuer }, "conflict/node-name");
  });
  assert.deepEqual(sealed, []);
}, CONFIDENTIAL);

await variantTest(
  attack("attack: a control plane whose identity nobody listed, until an operator lists it", serveJoin),
  async (t, variant) => {
    // The identity changes with each start, so it cannot be listed beforehand. The refusal shows it and is retriable,
    // and no key leaves the service.
    await using machine = await variant.start();
    const { cluster, controlPlanes, sealed } = await clusterWithKeys(variant, machine);
    await using _ = cluster;
    const keys = await newNodeKeys();
    const identity = machine.identity || await identityOfKey(keys.identity.spki);
    const play: Hostility = { issuer: machine.issuer, keys, request: { role: "control-plane" } };
    await t.step("is refused, with its identity", async () => {
      const error = await refusedByService(cluster, play, "refused/role");
      assert.equal(error.retriable, variant.isEphemeral);
      assert.ok(error.message.includes(identity), error.message);
      assert.deepEqual([error.details["expected"], error.details["seen"]], ["worker", "control-plane"]);
    });
    await t.step("is refused while another is listed", async () => {
      controlPlanes.add(hex(randomBytes(32)));
      await refusedByService(cluster, play, "refused/role");
    });
    assert.deepEqual(sealed, []);
    await t.step("is refused for its clock, although it is listed", async () => {
      controlPlanes.add(identity);
      for (const timeMs of [0n, BigInt(Date.now() + 3_600_000)]) {
        const far = { ...play, request: { ...play.request, timeMs } };
        await refusedByService(cluster, far, "precondition/clock-skew");
      }
      assert.deepEqual(sealed, []);
    });
    await t.step("goes through once it is listed", async () => {
      controlPlanes.add(identity);
      const ticket = await joinByHand(cluster.port, {
        ...play,
        before: (step, exchange) =>
          step === "end"
            ? exchange.send({ message: { $case: "outcome", outcome: { locked: true } } })
            : Promise.resolve(),
      });
      assert.ok(ticket.sealedKit !== undefined);
      assert.deepEqual(sealed.map((key) => hex(key)), [hex(keys.sealing.publicKey)]);
      assert.deepEqual(cluster.admissions.records.map((record) => record.identity), [identity]);
    });
  },
  [...CONFIDENTIAL, VARIANTS["tpm+snp"]],
);

await variantTest("a node whose identity an operator lists meanwhile goes through by itself", async (_t, variant) => {
  await using machine = await variant.start();
  const { cluster, controlPlanes, sealed } = await clusterWithKeys(variant, machine);
  await using _ = cluster;
  await using node = await TestMachine.create("control-plane");
  const refusals: string[] = [];
  const outcome = await node.run(cluster.trust, [cluster.port], { issuer: machine.issuer }, {
    onEndpointFailure({ error }) {
      assert.deepEqual([error.code, sealed.length, node.lock.state().name], ["refused/role", 0, "unlocked"]);
      // The operator reads the identity on the node's screen, and approves it.
      const [identity = ""] = /[0-9a-f]{64}/.exec(error.message) ?? [];
      refusals.push(identity);
      controlPlanes.add(identity);
    },
  });
  assert.deepEqual([outcome, refusals.length], ["joined", 1]);
  assert.deepEqual(cluster.admissions.records.map(({ identity, role }) => [identity, role]), [
    [refusals[0], "control-plane"],
  ]);
}, CONFIDENTIAL);

const neverLocked = attack("attack: a machine without a register for the lock says that it never locked", checkRecord);
await variantTest(neverLocked, async (t, variant) => {
  // A TPM shows by PCR 15 = 0 that an earlier founding was abandoned, but an SNP machine looks the same after a
  // completed founding. For its kind the name therefore stays taken forever.
  await using machine = await variant.start();
  const verifier = variant.verifierFor(machine);
  const caller = new AbortController();
  const never = () => (caller.abort(), new Promise<never>(() => {}));
  await using world = await InitWorld.start({ machine: machine.issuer, onFound: never });
  await assert.rejects(world.found({ verifier, signal: caller.signal }));
  const state = world.lock.state();
  assert(state.name === "locked");
  await t.step("with a new cluster", async () => {
    const play = honestly(machine.issuer);
    await refusedByOperator(world.operator, play, "precondition/cluster-exists", { verifier });
  });
  await t.step("under a name that was abandoned, as it may be a member that was taken over", async () => {
    assert.equal((await abandonCluster(world.operator.recordsFolder, CLUSTER_NAME)).showsNoLock, true);
    const play = honestly(machine.issuer);
    await refusedByOperator(world.operator, play, "precondition/cluster-exists", { verifier });
    // The node itself, which still proposes the abandoned cluster.
    await assert.rejects(world.found({ verifier }), { code: "precondition/cluster-exists" });
  });
}, [VARIANTS.snp]);

const posesAsFounder = attack("attack: a TD poses as the one that founded the recorded cluster", checkInitResult);
await variantTest(posesAsFounder, async (t, variant) => {
  // A TD has no name of its own: in an Init its identity is its cluster ID. A TD that extends RTMR 3 with the recorded
  // lock looks like the founder. It is stopped at the end, as it does not have that CA's key; the operator keeps and
  // acknowledges nothing.
  await using machine = await variant.start();
  await using operator = await TestOperator.create();
  const verifier = variant.verifierFor(machine);
  const trust = trustIn(operator.keys);
  await measureTrust(machine.issuer, trust);
  const genuine = await createCertificateAuthority(new Date());
  const clusterId = await sha256(genuine.certificate.spki);
  const operate = async (isLocked: boolean) => {
    const node = await startHostileNode(async (session, hello, received) => {
      const authority = await playNode(session, hello, { ...honestly(machine.issuer), clusterId }, received);
      const signed = await session.exchange.receive("request", PATIENCE_MS);
      received.push("request");
      if (!isLocked) return;
      const result = await resultFor(authority, InitRequest.decode(signed.request).adminKey);
      await session.exchange.send(await signedResult(result, authority, signed.request));
    });
    const deadlines = { ...INIT_CLIENT_DEADLINES, progressMs: isLocked ? PATIENCE_MS : 200 };
    const error = await operator.found(node.endpoint, { verifier, deadlines }).then(
      () => assert.fail("the operator was taken in"),
      asBootstrapError,
    );
    await node[Symbol.asyncDispose]();
    assert.ok(error instanceof BootstrapError);
    return { error, received: node.received };
  };
  await t.step("that was founded first", async () => {
    const { received } = await operate(false);
    assert.deepEqual(received, ["request"]);
    assert.equal((await operator.record())?.clusterId, hex(clusterId));
  });
  await t.step("and then another that is locked to it", async () => {
    await measureLock(machine.issuer, clusterId);
    const { error, received } = await operate(true);
    assert.equal(error.code, "refused/ca-cluster-id", error.message);
    assertThrownBy(error, checkInitResult);
    assert.deepEqual(received, ["request"], "the operator acknowledged");
    assert.deepEqual([operator.kept, (await operator.record())?.state], [[], "pending"]);
  });
}, [VARIANTS.tdx]);

const withoutItsKey = attack("attack: a TD that has another's key on record, and not the key", serveJoin);
await variantTest(withoutItsKey, async (t, variant) => {
  // The identity of a TD is SHA-256 of its identity key's SPKI. That key signs A2, and the request names it.
  await using machine = await variant.start();
  await using attacker = await variant.start();
  const { cluster, sealed } = await clusterWithKeys(variant, machine, attacker);
  await using _ = cluster;
  const [keys, own] = [await newNodeKeys(), await newNodeKeys()];
  await joinByHand(cluster.port, { issuer: machine.issuer, keys });
  cluster.signed.length = cluster.signedServing.length = 0;
  const stolen = { ...own, identity: { ...own.identity, spki: keys.identity.spki } };
  await t.step("with a signature by its own", async () => {
    await refusedByService(cluster, { issuer: attacker.issuer, keys: stolen }, "refused/signature");
  });
  await t.step("with its own key, for the member's name", async () => {
    await refusedByService(cluster, { issuer: attacker.issuer, keys: own }, "conflict/node-name");
  });
  await t.step("with a lock of its own, without an admission", async () => {
    await measureLock(attacker.issuer, cluster.clusterId);
    const error = await refusedByService(cluster, { issuer: attacker.issuer, keys: own }, "refused/pcr-15");
    assert.equal(error.details["seen"], hex(await extendedOnce(await lockDigest(cluster.clusterId))));
  });
  assert.deepEqual(sealed, []);
}, [VARIANTS.tdx]);
