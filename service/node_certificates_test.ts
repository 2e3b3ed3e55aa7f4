import assert from "node:assert/strict";
import { createCertificateAuthority, prepareNodeCertificates } from "../certificate/ca.ts";
import { generateKeyPair } from "../certificate/keys.ts";
import type { NodeCertificateRecord } from "../kubernetes/admission_records.ts";
import { sha256 } from "../platform/bytes.ts";
import { BootstrapError } from "../platform/errors.ts";
import { recordAndSign } from "./node_certificates.ts";

const ADMISSION = { identity: "1d".repeat(32), uid: "0f8fad5b-d9cb-469f-a165-70867728950e", epoch: 7 };

/** Unsigned certificates that note their signature among the events. */
async function unsigned(events: string[]) {
  const now = new Date();
  const ca = await createCertificateAuthority(now);
  const [clientKey, servingKey] = [(await generateKeyPair("p-256")).spki, (await generateKeyPair("p-256")).spki];
  const { client, serving } = await prepareNodeCertificates(ca, {
    ...{ nodeName: "one", admissionUid: ADMISSION.uid, epoch: 1, addresses: ["192.0.2.7"] },
    ...{ clientKey, servingKey, lifetimeMs: 3_600_000 },
  }, now);
  return {
    client: { ...client, sign: () => (events.push("sign client"), client.sign()) },
    serving: { ...serving, sign: () => (events.push("sign serving"), serving.sign()) },
  };
}

/** Admissions that note what they record. */
function admissions(events: string[], recorded: NodeCertificateRecord[] = []) {
  return {
    recordCertificates: (identity: string, uid: string, certificates: readonly NodeCertificateRecord[]) => {
      events.push(`record ${identity.slice(0, 4)} ${uid.slice(0, 4)}`);
      recorded.push(...certificates);
      return Promise.resolve();
    },
  };
}

Deno.test("recordAndSign() records first, then asks whether it still may, then signs what it recorded", async () => {
  const events: string[] = [];
  const recorded: NodeCertificateRecord[] = [];
  const confirm = () => Promise.resolve(void events.push("confirm"));
  const made = await recordAndSign(admissions(events, recorded), ADMISSION, await unsigned(events), confirm);
  assert.deepEqual(events, ["record 1d1d 0f8f", "confirm", "sign client", "sign serving"]);
  assert.deepEqual(recorded.map(({ usage, epoch }) => [usage, epoch]), [["client", 7], ["serving", undefined]]);
  for (const [record, certificate] of [[recorded[0], made.client], [recorded[1], made.serving]] as const) {
    assert.equal(record?.serial, certificate.serialNumber.toHex());
    assert.equal(record?.digest, (await sha256(certificate.tbs)).toHex());
    assert.equal(record?.notAfterMs, certificate.notAfter.getTime());
  }
  assert.notEqual(recorded[0]?.serial, recorded[1]?.serial);
  assert.equal(made.notAfterMs, made.client.notAfter.getTime());
});

Deno.test("recordAndSign() signs nothing that could not be recorded, or that may no longer be signed", async () => {
  for (const where of ["record", "confirm"]) {
    const events: string[] = [];
    const failing = () => Promise.reject(new BootstrapError("unavailable/admission-changed", where));
    const records = where === "record" ? { recordCertificates: failing } : admissions(events);
    const confirm = where === "confirm" ? failing : () => Promise.resolve();
    await assert.rejects(recordAndSign(records, ADMISSION, await unsigned(events), confirm), { message: where });
    assert.deepEqual(events.filter((event) => event.startsWith("sign")), []);
  }
});
