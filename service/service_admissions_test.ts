import assert from "node:assert/strict";
import { type AdmissionRecord, AdmissionRecords } from "../kubernetes/admission_records.ts";
import { ADMISSIONS, CONFIG_MAPS, MemoryApi } from "../kubernetes/testing/memory_api.ts";
import { BootstrapError } from "../platform/errors.ts";
import { createLog } from "../platform/log.ts";
import { ServiceAdmissions } from "./service_admissions.ts";

const EVENTS = "/api/v1/namespaces/default/events";
const MINUTE_MS = 60_000;

function recordOf(number: number): AdmissionRecord {
  return {
    ...{ identity: String(number).repeat(64), nodeName: `node-${number}`, role: "worker", nodeKey: "AAAA" },
    ...{ addresses: [`10.0.0.${number}`], evidenceDigest: "00" },
  };
}

class World {
  readonly api = new MemoryApi();
  readonly logged: Record<string, unknown>[] = [];
  nowMs = 0;
  readonly clock = { now: () => new Date(this.nowMs), monotonicMs: () => this.nowMs, sleep: () => Promise.resolve() };
  readonly admissions = new ServiceAdmissions({
    ...{ api: this.api, records: new AdmissionRecords(this.api), clock: this.clock, random: () => 0.5 },
    log: createLog(this.clock, (line) => this.logged.push(JSON.parse(line))),
  });

  async ticket(record: AdmissionRecord, how: "admit" | "renew" = "admit"): Promise<void> {
    const { uid } = await this.admissions[how](record);
    const certificate = { usage: "client", serial: "01", digest: "00", notAfterMs: MINUTE_MS } as const;
    await this.admissions.recordCertificates(record.identity, uid, [certificate]);
  }

  /** The Events that were written, when none is on its way any more. */
  async events(): Promise<string[]> {
    for (let turn = 0; turn < 50; turn++) await Promise.resolve();
    return this.api.names(EVENTS).map((name) => {
      const { involvedObject, reason, message } = Object(this.api.objects.get(`${EVENTS}/${name}`));
      return [involvedObject.kind, involvedObject.name.slice(0, 6), reason, message].join(" ");
    });
  }
}

Deno.test("an admission and each renewal are Events on the record and on the Node", async () => {
  const world = new World();
  await world.ticket(recordOf(1));
  await world.ticket(recordOf(1), "renew");
  const end = "its certificates end at 1970-01-01T00:01:00.000Z";
  assert.deepEqual(await world.events(), [
    `NodeAdmission 111111 Admitted The machine was admitted; ${end}`,
    `Node node-1 Admitted The machine was admitted; ${end}`,
    `NodeAdmission 111111 Renewed The machine proved again what it is; ${end}`,
    `Node node-1 Renewed The machine proved again what it is; ${end}`,
  ]);
});

Deno.test("many refusals of one machine are one Event in ten minutes, which counts them", async () => {
  const world = new World();
  await world.ticket(recordOf(1));
  const refused = async () => {
    const asked = world.admissions.admit({ ...recordOf(1), nodeName: "other" });
    await assert.rejects(asked, { code: "conflict/identity" });
  };
  for (let times = 0; times < 5; times++) await refused();
  world.nowMs = 11 * MINUTE_MS;
  await refused();
  // A machine without a record has nothing that an Event could be on.
  await assert.rejects(world.admissions.admit({ ...recordOf(2), nodeName: "node-1" }), { code: "conflict/node-name" });
  const events = (await world.events()).filter((event) => event.includes("Refused"));
  assert.equal(events.length, 2);
  assert.match(events[0] ?? "", /^NodeAdmission 111111 Refused conflict\/identity: .*\.?$/);
  assert.match(events[1] ?? "", /\(5 times before\)$/);
});

Deno.test("a refused renewal is an Event on the record of the machine", async () => {
  const world = new World();
  await world.ticket(recordOf(1));
  const asked = world.admissions.renew({ ...recordOf(1), nodeName: "other" });
  await assert.rejects(asked, { code: "refused/not-admitted" });
  const { uid, before } = await world.admissions.renew({ ...recordOf(1), nodeKey: "BBBB" });
  assert.deepEqual([before?.nodeKey, typeof uid], ["AAAA", "string"]);
  const [event = "", ...more] = (await world.events()).filter((one) => one.includes("Refused"));
  assert.match(event, /^NodeAdmission 111111 Refused refused\/not-admitted: /);
  assert.deepEqual(more, []);
});

Deno.test("a ticket waits for no Event, and an Event that cannot be written is only logged", async () => {
  const world = new World();
  const create = world.api.create.bind(world.api);
  const written = Promise.withResolvers<never>();
  world.api.create = (path, object, schema) => path === EVENTS ? written.promise : create(path, object, schema);
  await world.ticket(recordOf(1));
  written.reject(new BootstrapError("unavailable/kubernetes-api", "down"));
  assert.deepEqual(await world.events(), []);
  assert.deepEqual(world.logged.map(({ event }) => event), ["event-not-written"]);
});

Deno.test("nothing is admitted or found before records of earlier versions are migrated", async () => {
  const world = new World();
  const { identity, addresses, ...rest } = recordOf(1);
  const data = { identity, ...rest, addresses: JSON.stringify(addresses) };
  const accept = { "~standard": { validate: (value: unknown) => ({ value }) } };
  await world.api.create(CONFIG_MAPS, { metadata: { name: `identity-${identity}` }, data }, accept);
  const get = world.api.get.bind(world.api);
  let failures = 3;
  world.api.get = (path, schema) => {
    if (path.startsWith(ADMISSIONS) && failures-- > 0) {
      return Promise.reject(new BootstrapError("precondition/not-found", "no such kind"));
    }
    return get(path, schema);
  };
  await assert.rejects(world.admissions.admit({ ...recordOf(1), nodeName: "other" }), { code: "unavailable/records" });
  await assert.rejects(world.admissions.find(identity), { code: "unavailable/records" });
  await world.admissions.run(new AbortController().signal);
  await assert.rejects(world.admissions.admit({ ...recordOf(1), nodeName: "other" }), { code: "conflict/identity" });
  assert.deepEqual(world.logged.map(({ event }) => event), ["records-not-migrated", "records-migrated"]);
});
