/**
 * What stops an issue that is under way: a ban or a removal that comes while it is held up. Nothing is signed and
 * nothing is sealed after it.
 */
import assert from "node:assert/strict";
import { newKit } from "../../protocol/testing/kit.ts";
import { sealKit } from "../../protocol/sealed_kit.ts";
import { systemClock } from "../../platform/clock.ts";
import { sha256 } from "../../platform/bytes.ts";
import { asBootstrapError, BootstrapError } from "../../platform/errors.ts";
import type { JoinExchangeService } from "../../service/exchange_parts.ts";
import { ask, newNode, TestCluster } from "./join_world.ts";

/** A gate: who comes to it waits until it is opened. */
function gate() {
  const [reached, opened] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  return {
    reached: reached.promise,
    open: () => opened.resolve(),
    pass: async () => {
      reached.resolve();
      await opened.promise;
    },
  };
}

/** What an operator does while an issue is held up, as the service then sees it. */
const CHANGES: Readonly<Record<string, { readonly code: string; readonly check: keyof JoinExchangeService }>> = {
  "the policy bans the machine": { code: "unavailable/policy", check: "confirmPolicy" },
  "an operator removes the node": { code: "unavailable/node-removal", check: "checkNotRemoved" },
};

/** Where an issue can be held up, by the part of the service that waits there. */
const PLACES = ["admit", "currentEpoch", "prepareCertificates", "recordCertificates"] as const;

for (const [change, { code, check }] of Object.entries(CHANGES)) {
  for (const place of PLACES) {
    Deno.test(`an issue that is held up at ${place} signs nothing when ${change} meanwhile`, async () => {
      let isChanged = false;
      const held = gate();
      const refuse = () =>
        isChanged ? Promise.reject(new BootstrapError(code as "unavailable/policy", change)) : Promise.resolve();
      await using cluster = await TestCluster.create();
      const { service, admissions } = cluster;
      // The cluster's own service works with these parts, so they are replaced where they stand.
      const parts = place === "admit" || place === "recordCertificates"
        ? {
          admissions: {
            find: (identity: string) => admissions.find(identity),
            stands: (identity: string, uid: string) => admissions.stands(identity, uid),
            admit: async (...all: Parameters<typeof admissions.admit>) => {
              if (place === "admit") await held.pass();
              return await admissions.admit(...all);
            },
            renew: (...all: Parameters<typeof admissions.renew>) => admissions.renew(...all),
            recordCertificates: async (...all: Parameters<typeof admissions.recordCertificates>) => {
              if (place === "recordCertificates") await held.pass();
              await admissions.recordCertificates(...all);
            },
          },
        }
        : place === "currentEpoch"
        ? { currentEpoch: async () => (await held.pass(), 1) }
        : {
          prepareCertificates: async (...all: Parameters<typeof service.prepareCertificates>) => {
            await held.pass();
            return await service.prepareCertificates(...all);
          },
        };
      await using slow = await TestCluster.create({
        operator: cluster.operator,
        ca: cluster.ca,
        service: { ...parts, [check]: refuse },
      });
      const asked = ask(slow.port, await newNode(slow.trust)).catch(asBootstrapError);
      await held.reached;
      isChanged = true;
      held.open();
      const error = await asked;
      assert.ok(error instanceof BootstrapError && error.code === code, String(error));
      for (const { signed, signedServing } of [cluster, slow]) assert.deepEqual([signed, signedServing], [[], []]);
    });
  }

  Deno.test(`an issue that is held up in the queue seals nothing when ${change} meanwhile`, async () => {
    let isChanged = false;
    const held = gate();
    const { kit, ca } = await newKit();
    const sealed: Uint8Array[] = [];
    const refuse = () =>
      isChanged ? Promise.reject(new BootstrapError(code as "unavailable/policy", change)) : Promise.resolve();
    await using cluster = await TestCluster.create({
      ca,
      service: {
        roleOf: () => "control-plane",
        [check]: refuse,
        controlPlanes: {
          enter: () => held.pass(),
          release: () => Promise.resolve(),
          seal: (sealingKey, a2) => (sealed.push(sealingKey), sealKit(sealingKey, a2, kit)),
        },
      },
    });
    const self = { name: "cp-2", address: "192.0.2.8", role: "control-plane" } as const;
    const asked = ask(cluster.port, await newNode(cluster.trust, { self })).catch(asBootstrapError);
    await held.reached;
    isChanged = true;
    held.open();
    const error = await asked;
    assert.ok(error instanceof BootstrapError && error.code === code, String(error));
    assert.deepEqual([sealed, cluster.signed, cluster.signedServing], [[], [], []]);
  });
}

Deno.test("nothing is signed for a node whose whole removal passed after its certificates were recorded", async () => {
  await using other = await TestCluster.create();
  const { admissions } = other;
  await using cluster = await TestCluster.create({
    service: {
      admissions: {
        find: (identity) => admissions.find(identity),
        stands: (identity, uid) => admissions.stands(identity, uid),
        admit: (record) => admissions.admit(record),
        renew: (record) => admissions.renew(record),
        recordCertificates: async (identity, uid, certificates, asked) => {
          await admissions.recordCertificates(identity, uid, certificates, asked);
          admissions.records.length = 0;
        },
      },
    },
  });
  const error = await ask(cluster.port, await newNode(cluster.trust)).catch(asBootstrapError);
  assert.ok(error instanceof BootstrapError && error.code === "unavailable/admission-changed", String(error));
  assert.deepEqual([cluster.signed, cluster.signedServing], [[], []]);
});

Deno.test("a ticket that waits for a slow API server does not admit its node again", async () => {
  await using other = await TestCluster.create();
  const { admissions } = other;
  const calls: string[] = [];
  await using cluster = await TestCluster.create({
    service: {
      admissions: {
        find: (identity) => admissions.find(identity),
        stands: (identity, uid) => admissions.stands(identity, uid),
        admit: (record) => (calls.push("admit"), admissions.admit(record)),
        renew: (record) => admissions.renew(record),
        recordCertificates: (identity, uid, certificates, asked) => {
          calls.push("record");
          if (calls.length === 2) return Promise.reject(new BootstrapError("timeout/kubernetes-api", "slow"));
          return admissions.recordCertificates(identity, uid, certificates, asked);
        },
      },
    },
  });
  await ask(cluster.port, await newNode(cluster.trust));
  assert.deepEqual(calls, ["admit", "record", "record"]);
});

Deno.test("the certificates of a ticket are on record with their serial numbers and contents", async () => {
  await using cluster = await TestCluster.create();
  const ticket = await ask(cluster.port, await newNode(cluster.trust));
  const [client, serving] = cluster.admissions.certificates;
  for (
    const [record, certificate] of [[client, ticket.clientCertificate], [serving, ticket.servingCertificate]] as const
  ) {
    assert.equal(record?.serial, certificate.serialNumber.toHex());
    assert.equal(record?.digest, (await sha256(certificate.tbs)).toHex());
  }
  const [admitted] = cluster.admissions.records;
  assert.equal(admitted?.policyDigest, "0123456789ab");
  assert.ok((admitted?.attestedMs ?? 0) > 0);
});

Deno.test("issueTicket() waits within its exchange for a slow API server, and the node proves itself once", async () => {
  for (
    const code of ["unavailable/kubernetes-api", "timeout/kubernetes-api", "unavailable/kubernetes-rights"] as const
  ) {
    const failures = [1, 2, 3].map(() => new BootstrapError(code, "etcdserver: request timed out"));
    await using cluster = await TestCluster.create();
    const { service } = cluster;
    let verified = 0;
    const waits: number[] = [];
    Object.assign(service, {
      clock: { ...systemClock, sleep: (ms: number) => Promise.resolve(void waits.push(ms)) },
      confirmPolicy: () => Promise.resolve(void (failures.length === 3 && verified++)),
      currentEpoch: () => {
        const error = failures.shift();
        return error === undefined ? Promise.resolve(1) : Promise.reject(error);
      },
    });
    await ask(cluster.port, await newNode(cluster.trust));
    assert.deepEqual([verified, waits.length], [1, 3]);
    assert.deepEqual(cluster.signed.length, 1);
  }
});

Deno.test("issueTicket() gives up a slow API server after a minute, and tells the node to ask again", async () => {
  await using cluster = await TestCluster.create();
  let nowMs = 0;
  const clock = {
    ...systemClock,
    monotonicMs: () => nowMs,
    sleep: (ms: number) => Promise.resolve(void (nowMs += ms)),
  };
  const down = () => Promise.reject(new BootstrapError("unavailable/kubernetes-api", "no answer"));
  Object.assign(cluster.service, { clock, currentEpoch: down });
  const asked = ask(cluster.port, await newNode(cluster.trust));
  await assert.rejects(asked, { code: "unavailable/kubernetes-api", retriable: true });
  assert.ok(nowMs >= 60_000 && nowMs < 90_000, `${nowMs} ms`);
});
