import assert from "node:assert/strict";
import { join } from "node:path";
import fc from "fast-check";
import { createCertificateAuthority } from "../certificate/ca.ts";
import { issueNodeCertificates } from "../certificate/testing/node_certificates.ts";
import { generateKeyPair } from "../certificate/keys.ts";
import { utf8 } from "../platform/bytes.ts";
import { BootstrapError } from "../platform/errors.ts";
import { parseRenewalRecord, readRenewalRecord, recordIssuedCertificates } from "./renewal_record.ts";

async function certificates(now: Date) {
  const { spki } = await generateKeyPair("p-256");
  const keys = { clientKey: spki, servingKey: spki };
  const node = { nodeName: "worker-1", addresses: [], epoch: 1, lifetimeMs: 3_600_000, ...keys };
  return await issueNodeCertificates(await createCertificateAuthority(now), node, now);
}

Deno.test("recordIssuedCertificates() says until when, by whom, and dates the file that the unit looks at", async () => {
  const folder = await Deno.makeTempDir();
  const now = new Date("2026-11-01T00:00:00Z");
  const attested = new Date("2026-11-01T00:00:01Z");
  assert.equal(await readRenewalRecord(folder), undefined);
  const issued = { certificates: await certificates(now), joinEndpoints: ["192.0.2.1:9444"], attested };
  await recordIssuedCertificates(folder, { ...issued, issuedBy: "attestation" }, { now, random: 0 });
  const validity = { notBefore: "2026-10-31T23:55:00.000Z", notAfter: "2026-11-01T01:00:00.000Z" };
  assert.deepEqual(await readRenewalRecord(folder), {
    ...{ version: 1, joinEndpoints: ["192.0.2.1:9444"], client: validity, serving: validity },
    ...{ issuedBy: "attestation", attested: attested.toISOString() },
  });
  const { mtime } = await Deno.stat(join(folder, "renewal.due"));
  assert.equal(mtime?.getTime(), Date.parse("2026-11-01T00:16:40Z"));
  await Deno.remove(folder, { recursive: true });
});

Deno.test("parseRenewalRecord() reads a record, or says what is wrong, for any bytes", () => {
  const validity = { notBefore: "2026-10-31T23:55:00.000Z", notAfter: "2026-11-01T01:00:00.000Z" };
  const record = { version: 1, joinEndpoints: ["a:1"], client: validity, serving: validity, issuedBy: "own-ca" };
  const text = JSON.stringify(record);
  assert.deepEqual(parseRenewalRecord(utf8(text), "f"), record);
  const isSaid = (error: unknown) => error instanceof BootstrapError && error.code === "malformed/renewal-record";
  for (const wrong of [{ version: 2 }, { client: {} }, { issuedBy: "nobody" }, { more: 1 }]) {
    assert.throws(() => parseRenewalRecord(utf8(JSON.stringify({ ...record, ...wrong })), "f"), isSaid);
  }
  const tolerant = (bytes: Uint8Array) => {
    try {
      parseRenewalRecord(bytes, "f");
    } catch (error) {
      assert.ok(isSaid(error), String(error));
    }
  };
  fc.assert(fc.property(fc.uint8Array({ maxLength: 64 }), tolerant));
  fc.assert(fc.property(fc.nat(text.length - 1), fc.integer({ min: 1, max: 255 }), (index, flip) => {
    const bytes = utf8(text);
    bytes[index] = (bytes[index] ?? 0) ^ flip;
    tolerant(bytes);
  }));
});
