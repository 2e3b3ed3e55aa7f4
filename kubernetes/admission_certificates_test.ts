/** Tests of what admission records say of certificates. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { MemoryApi } from "./testing/memory_api.ts";
import { AdmissionRecords } from "./admission_records.ts";
import { GONE, newRecords, recordOf, statusOf } from "./testing/admissions.ts";

Deno.test("recordCertificates() keeps the newest of each usage, and the latest end of any client certificate", async () => {
  const { api, records } = newRecords();
  const record = recordOf(1, "10.0.0.1");
  const { uid } = await records.admit(record);
  const of = (usage: "client" | "serving", serial: string, notAfterMs: number) => ({
    usage,
    serial,
    digest: "d",
    notAfterMs,
  });
  await records.recordCertificates(record.identity, uid, [of("client", "01", 2_000), of("serving", "02", 2_000)]);
  await records.recordCertificates(record.identity, uid, [of("client", "03", 1_000)]);
  assert.equal((await records.admit(record)).uid, uid);
  const { client, serving, until, servingUntil } = statusOf(api, record);
  const time = (ms: number) => new Date(ms).toISOString();
  assert.deepEqual(client, { serial: "03", digest: "d", notAfter: time(1_000) });
  assert.deepEqual(serving, { serial: "02", digest: "d", notAfter: time(2_000) });
  assert.deepEqual([until, servingUntil], [time(2_000), time(2_000)]);
});

Deno.test("recordCertificates() keeps the highest epoch, whichever signer records last", async () => {
  const { api, records } = newRecords();
  const record = recordOf(1, "10.0.0.1");
  const { uid } = await records.admit(record);
  const certificate = { usage: "client", serial: "01", digest: "d", notAfterMs: 2_000 } as const;
  for (const epoch of [2, 3, 2]) await records.recordCertificates(record.identity, uid, [{ ...certificate, epoch }]);
  assert.equal(statusOf(api, record)["epoch"], 3);
  assert.equal((await records.end(record.nodeName, record.identity, 5_000))?.epoch, 3);
});

Deno.test("recordCertificates() refuses addresses and keys that an admission since has replaced", async () => {
  const { api, records } = newRecords();
  const [first, since] = [recordOf(1, "10.0.0.1"), { ...recordOf(1, "10.0.0.2"), nodeKey: "other" }];
  const { uid } = await records.admit(first);
  assert.equal((await records.admit(since)).uid, uid);
  // The address of the first is free now: no certificate for it was on record.
  await records.admit(recordOf(2, "10.0.0.1"));
  for (const old of [first, { ...since, nodeKey: first.nodeKey }, { ...since, addresses: first.addresses }]) {
    await assert.rejects(records.recordCertificates(first.identity, uid, [], old), {
      code: "unavailable/admission-changed",
      retriable: true,
    });
  }
  await records.recordCertificates(first.identity, uid, [], since);
  assert.equal(statusOf(api, first)["serving"], undefined);
});

Deno.test("recordCertificates() refuses another admission of the identity, and an identity without one", async () => {
  const { records } = newRecords();
  const record = recordOf(1, "10.0.0.1");
  const { uid } = await records.admit(record);
  await records.remove(record.nodeName, GONE);
  await assert.rejects(records.recordCertificates(record.identity, uid, []), { code: "unavailable/admission-changed" });
  const again = await records.admit(record);
  assert.notEqual(again.uid, uid);
  await assert.rejects(records.recordCertificates(record.identity, uid, []), { code: "unavailable/admission-changed" });
  await records.recordCertificates(record.identity, again.uid, []);
});

Deno.test("end() has the latest end of any certificate, whichever client comes first", async () => {
  await fc.assert(
    fc.asyncProperty(fc.scheduler(), async (scheduler) => {
      const api = new MemoryApi();
      const records = new AdmissionRecords(api);
      const record = recordOf(1, "10.0.0.1");
      const { uid } = await records.admit(record);
      const slow = Object.assign(new MemoryApi(), {
        find: scheduler.scheduleFunction(api.find.bind(api)) as MemoryApi["find"],
        replace: scheduler.scheduleFunction(api.replace.bind(api)) as MemoryApi["replace"],
      });
      const certificate = { usage: "client", serial: "01", digest: "d", notAfterMs: 9_000 } as const;
      const signing = new AdmissionRecords(slow).recordCertificates(record.identity, uid, [certificate])
        .then(() => true, () => false);
      const ending = new AdmissionRecords(slow).end(record.nodeName, record.identity, 5_000);
      await scheduler.waitFor(Promise.all([signing, ending]));
      // A certificate that may be signed is one that the removal knows of.
      assert.equal((await ending)?.untilMs, await signing ? 9_000 : undefined);
    }),
  );
});
