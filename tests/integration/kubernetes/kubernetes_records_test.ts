import assert from "node:assert/strict";
import { AdmissionRecords } from "../../../kubernetes/admission_records.ts";
import type { AdmissionRecord } from "../../../kubernetes/admission_records.ts";
import { KubernetesApi } from "../../../kubernetes/api.ts";
import { hex, randomBytes } from "../../../platform/bytes.ts";
import { BootstrapError } from "../../../platform/errors.ts";
import { TestCluster } from "./cluster.ts";
import { addressOf, ADMISSIONS, codeIs, CONFIG_MAPS, recordNames, recordOf } from "./records.ts";

const CONTENDERS = 24;
const ROUNDS = 5;

Deno.test("admission records, against a real API server", async (t) => {
  await using cluster = await TestCluster.create();
  using service = new KubernetesApi(await cluster.joinService());
  const records = new AdmissionRecords(service);

  await t.step(
    "admit() returns the same outcome again, with key and evidence replaced, when the answer was lost",
    async () => {
      const first = recordOf({});
      const outcome = async (asked: AdmissionRecord) => {
        const { written, ...rest } = await records.admit(asked);
        assert.deepEqual([written?.uid, written?.record], [rest.uid, asked]);
        return rest;
      };
      const { uid, ...rest } = await outcome(first);
      assert.deepEqual(rest, {});
      assert.deepEqual(await outcome(first), { before: first, uid });
      const again = {
        ...first,
        nodeKey: "BBBB",
        addresses: [addressOf()],
        evidenceDigest: "11".repeat(32),
        resetCount: 6,
      };
      assert.deepEqual(await outcome(again), { before: first, uid });
      assert.deepEqual(await records.find(first.identity), again);
    },
  );

  await t.step("admit() refuses another name or role for an identity, and another identity for a name", async () => {
    const first = recordOf({});
    await records.admit(first);
    const before = await recordNames(cluster.admin);
    await assert.rejects(records.admit({ ...first, nodeName: "other" }), codeIs("conflict/identity"));
    await assert.rejects(records.admit({ ...first, role: "control-plane" }), codeIs("conflict/identity"));
    const stranger = { ...first, identity: "cc".repeat(32) };
    await assert.rejects(records.admit(stranger), (error: unknown) => {
      assert.ok(codeIs("conflict/node-name")(error) && error instanceof BootstrapError);
      assert.ok(error.message.includes(first.identity) && error.message.includes(stranger.identity), error.message);
      assert.ok(error.next.endsWith(`run \`bootstrapper node remove ${first.nodeName}\``), error.next);
      return true;
    });
    assert.deepEqual(await recordNames(cluster.admin), before);
    assert.deepEqual(await records.find(first.identity), first);
    assert.equal(await records.find(stranger.identity), undefined);
  });

  await t.step("admit() refuses another node's address, in any form of it, and leaves nothing behind", async () => {
    const first = recordOf({ addresses: [addressOf(), "2001:db8::7"] });
    await records.admit(first);
    const before = await recordNames(cluster.admin);
    for (const address of [first.addresses[0] ?? "", `::ffff:${first.addresses[0]}`, "2001:DB8:0::7"]) {
      const asked = records.admit(recordOf({ addresses: [addressOf(), address] }));
      await assert.rejects(asked, codeIs("conflict/node-address"));
      assert.deepEqual(await recordNames(cluster.admin), before);
    }
    const [moved, next] = [{ ...first, addresses: [addressOf()] }, recordOf({ addresses: first.addresses })];
    await records.admit(moved);
    await records.admit(next);
    await assert.rejects(records.admit(first), codeIs("conflict/node-address"));
    assert.deepEqual(await records.byName(moved.nodeName), moved);
    assert.deepEqual(await records.byName(next.nodeName), next);
  });

  await t.step("when many nodes request one address at once, one of them gets it", async () => {
    for (let round = 0; round < ROUNDS; round++) {
      const addresses = [addressOf()];
      const contenders = Array.from({ length: CONTENDERS }, () => recordOf({ addresses }));
      const outcomes = await Promise.allSettled(contenders.map((record) => records.admit(record)));
      for (const outcome of outcomes) {
        if (outcome.status === "fulfilled") continue;
        const codes = ["conflict/node-address", "unavailable/admission-changed"];
        assert.ok(codes.some((code) => codeIs(code)(outcome.reason)), String(outcome.reason));
      }
      const owners = async () => {
        const named = await Promise.all(contenders.map(({ nodeName }) => records.byName(nodeName)));
        return named.filter((record) => record?.addresses.length === 1).length;
      };
      assert.ok(await owners() <= 1);
      for (const record of contenders) await records.admit(record).catch(() => {});
      assert.equal(await owners(), 1);
    }
  });

  await t.step("admit() refuses a reset count that decreased, and a missing one", async () => {
    const first = recordOf({ resetCount: 9 });
    await records.admit(first);
    const { resetCount: _, ...without } = first;
    await assert.rejects(records.admit({ ...first, resetCount: 8 }), codeIs("refused/reset-count"));
    await assert.rejects(records.admit(without), codeIs("refused/reset-count"));
    assert.deepEqual(await records.find(first.identity), first);
  });

  await t.step("admit() refuses the name of a Node that was never admitted", async () => {
    const before = await recordNames(cluster.admin);
    await assert.rejects(records.admit(recordOf({ nodeName: "cp-1" })), codeIs("conflict/node-without-record"));
    assert.deepEqual(await recordNames(cluster.admin), before);
  });

  await t.step("admit() goes on after it was killed between the two records", async () => {
    const first = recordOf({});
    await records.admit(first);
    await cluster.admin.remove(`${CONFIG_MAPS}/node-${first.nodeName}`);
    assert.equal(await records.find(first.identity), undefined);
    await records.admit({ ...first, nodeKey: "BBBB" });
    assert.equal((await records.find(first.identity))?.nodeKey, "BBBB");
  });

  await t.step(
    "admit() frees an identity that was killed between the two records, when another got the name",
    async () => {
      const killed = recordOf({});
      await records.admit(killed);
      await cluster.admin.remove(`${CONFIG_MAPS}/node-${killed.nodeName}`);
      const other = { ...killed, nodeName: `node-${hex(randomBytes(4))}`, role: "control-plane" } as const;
      // As long as no other node has the name, it may have been admitted, so only this name is left for it.
      await assert.rejects(records.admit(other), codeIs("conflict/identity"));
      const heir = recordOf({ nodeName: killed.nodeName });
      await records.admit(heir);
      await assert.rejects(records.admit(killed), codeIs("conflict/node-name"));
      await assert.rejects(records.admit({ ...other, resetCount: 4 }), codeIs("refused/reset-count"));
      assert.equal((await records.admit(other)).before, undefined);
      assert.deepEqual(await records.find(killed.identity), other);
      assert.deepEqual(await records.byName(heir.nodeName), heir);
      await assert.rejects(records.admit({ ...killed, nodeName: "other" }), codeIs("conflict/identity"));
    },
  );

  await t.step("byName() returns the record of a name only if both records agree", async () => {
    const first = recordOf({});
    assert.equal(await records.byName(first.nodeName), undefined);
    await records.admit(first);
    assert.deepEqual(await records.byName(first.nodeName), first);
    await cluster.admin.remove(`${ADMISSIONS}/${first.identity}`);
    assert.equal(await records.byName(first.nodeName), undefined);
    assert.equal(await records.byName("../secrets/x"), undefined);
  });

  await t.step(
    "when many identities contend for one name, exactly one is admitted, and only its records stay",
    async () => {
      for (let round = 0; round < ROUNDS; round++) {
        const nodeName = `contended-${round}`;
        const contenders = Array.from({ length: CONTENDERS }, () => recordOf({ nodeName }));
        const outcomes = await Promise.allSettled(contenders.map((record) => records.admit(record)));
        const winners = contenders.filter((_, index) => outcomes[index]?.status === "fulfilled");
        assert.equal(winners.length, 1);
        for (const outcome of outcomes) {
          if (outcome.status === "rejected") {
            assert.ok(
              codeIs("conflict/node-name")(outcome.reason),
              String(outcome.reason),
            );
          }
        }
        const identities = new Set(contenders.map(({ identity }) => `identity-${identity}`));
        const left = (await recordNames(cluster.admin)).filter((name) => identities.has(name));
        assert.deepEqual(left, winners.map(({ identity }) => `identity-${identity}`));
      }
    },
  );

  await t.step("when one identity requests many names at once, exactly one is admitted", async () => {
    for (let round = 0; round < ROUNDS; round++) {
      const identity = hex(randomBytes(32));
      const contenders = Array.from({ length: CONTENDERS }, () => recordOf({ identity }));
      const outcomes = await Promise.allSettled(contenders.map((record) => records.admit(record)));
      assert.equal(outcomes.filter(({ status }) => status === "fulfilled").length, 1);
      for (const outcome of outcomes) {
        if (outcome.status === "rejected") {
          assert.ok(codeIs("conflict/identity")(outcome.reason), String(outcome.reason));
        }
      }
      const left = (await recordNames(cluster.admin)).filter((name) =>
        contenders.some((one) => name === `node-${one.nodeName}`)
      );
      assert.equal(left.length, 1);
    }
  });

  await t.step(
    "when one identity asks many times at once with different keys, its records agree in the end",
    async () => {
      const base = recordOf({});
      const asked = Array.from(
        { length: 8 },
        (_, index) => ({ ...base, nodeKey: `key${index}`, evidenceDigest: hex(randomBytes(32)) }),
      );
      const outcomes = await Promise.allSettled(asked.map((record) => records.admit(record)));
      assert.ok(outcomes.some(({ status }) => status === "fulfilled"));
      for (const outcome of outcomes) {
        if (outcome.status === "rejected") {
          assert.ok(codeIs("unavailable/admission-changed")(outcome.reason), String(outcome.reason));
        }
      }
      await records.admit(base);
      assert.deepEqual(await records.find(base.identity), base);
    },
  );
});
