import assert from "node:assert/strict";
import { createCertificateAuthority, prepareNodeCertificates } from "../certificate/ca.ts";
import { generateKeyPair } from "../certificate/keys.ts";
import { sha256 } from "../platform/bytes.ts";
import { BootstrapError } from "../platform/errors.ts";
import type { NodeCertificateRecord } from "./admission_records.ts";
import { recordAndSign } from "./node_certificates.ts";

const ADMISSION = { admissionUid: "0f8fad5b-d9cb-469f-a165-70867728950e", epoch: 7 };

/** Unsigned certificates that note their signature among the events. */
async function unsigned(events: string[]) {
  const now = new Date();
  const ca = await createCertificateAuthority(now);
  const [clientKey, servingKey] = [(await generateKeyPair("p-256")).spki, (await generateKeyPair("p-256")).spki];
  const { client, serving } = await prepareNodeCertificates(ca, {
    ...{ nodeName: "one", ...ADMISSION, addresses: ["192.0.2.7"] },
    ...{ clientKey, servingKey, lifetimeMs: 3_600_000 },
  }, now);
  return {
    client: { ...client, sign: () => (events.push("sign client"), client.sign()) },
    serving: { ...serving, sign: () => (events.push("sign serving"), serving.sign()) },
  };
}

Deno.test("recordAndSign() records first, then asks whether it still may, then signs what it recorded", async () => {
  const events: string[] = [];
  const recorded: NodeCertificateRecord[] = [];
  const made = await recordAndSign(await unsigned(events), {
    epoch: ADMISSION.epoch,
    record(certificates) {
      events.push("record");
      recorded.push(...certificates);
      return Promise.resolve();
    },
    confirm: () => Promise.resolve(void events.push("confirm")),
  });
  assert.deepEqual(events, ["record", "confirm", "sign client", "sign serving"]);
  assert.deepEqual(recorded.map(({ usage, epoch }) => [usage, epoch]), [["client", 7], ["serving", undefined]]);
  for (const [record, certificate] of [[recorded[0], made.client], [recorded[1], made.serving]] as const) {
    assert.equal(record?.serial, certificate.serialNumber.toHex());
    assert.equal(record?.digest, (await sha256(certificate.tbs)).toHex());
    assert.equal(record?.notAfterMs, certificate.notAfter.getTime());
  }
  assert.notEqual(recorded[0]?.serial, recorded[1]?.serial);
});

Deno.test("recordAndSign() signs nothing that could not be recorded, or that may no longer be signed", async () => {
  for (const where of ["record", "confirm"]) {
    const events: string[] = [];
    const step = (name: string) => () =>
      name === where
        ? Promise.reject(new BootstrapError("unavailable/admission-changed", where))
        : Promise.resolve(void events.push(name));
    const before = { epoch: ADMISSION.epoch, record: step("record"), confirm: step("confirm") };
    await assert.rejects(recordAndSign(await unsigned(events), before), { message: where });
    assert.deepEqual(events, where === "record" ? [] : ["record"]);
  }
});
