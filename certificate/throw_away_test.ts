import assert from "node:assert/strict";
import { readPrivateKeyPem } from "./keys.ts";
import { readPem } from "./pem.ts";
import { createThrowAwayCertificate } from "./throw_away.ts";
import { readCertificate } from "./x509.ts";
import { verifyCertificateSignature } from "./certificate_signature.ts";

Deno.test("createThrowAwayCertificate() makes a fresh, short-lived certificate with its key", async () => {
  const [one, other] = [await createThrowAwayCertificate(), await createThrowAwayCertificate()];
  const certificate = readCertificate(readPem(one.certificatePem, "CERTIFICATE", "certificate"), "certificate");
  const keys = await readPrivateKeyPem(one.keyPem, "key");
  assert.deepEqual(certificate.spki, keys.spki);
  await verifyCertificateSignature(certificate, keys.spki);
  assert.ok(certificate.notAfter.getTime() - certificate.notBefore.getTime() <= 48 * 3600 * 1000);
  assert.notEqual(one.certificatePem, other.certificatePem);
});
