import assert from "node:assert/strict";
import { assertRefused } from "./testing/certificates.ts";
import {
  createCertificateAuthority,
  issueAdminCertificate,
  issueClientCertificate,
  issueServiceCertificate,
  joinCertificateAuthority,
} from "./ca.ts";
import { generateKeyPair, privateKeyPem, readPrivateKeyPem } from "./keys.ts";
import { nameText } from "./name.ts";
import { nodeSubject } from "./subjects.ts";
import { basicConstraints, EXTENSION, extKeyUsage, keyUsage, subjectAltName } from "./extensions.ts";
import { type Certificate, readCertificate } from "./x509.ts";
import { verifyCertificateSignature } from "./certificate_signature.ts";

const now = new Date("2026-01-02T03:04:05.678Z");
const isCritical = ({ extensions }: Certificate, oid: string) => extensions.find((e) => e.oid === oid)?.critical;

Deno.test("createCertificateAuthority() makes a CA in kubeadm's form", async () => {
  const { certificate } = await createCertificateAuthority(now);
  assert.equal(nameText(certificate.subject.attributes), "CN=kubernetes");
  assert.deepEqual(certificate.issuer.der, certificate.subject.der);
  assert.equal(certificate.notBefore.toISOString(), "2026-01-02T02:59:05.000Z");
  assert.equal(certificate.notAfter.toISOString(), "2035-12-31T03:04:05.000Z");
  assert.deepEqual(basicConstraints(certificate), { isCa: true });
  assert.deepEqual(keyUsage(certificate), new Set(["digitalSignature", "keyEncipherment", "keyCertSign"]));
  assert.deepEqual(subjectAltName(certificate), [{ type: "dns", value: "kubernetes" }]);
  assert.equal(isCritical(certificate, EXTENSION.basicConstraints), true);
  assert.equal(isCritical(certificate, EXTENSION.keyUsage), true);
  assert.equal(isCritical(certificate, EXTENSION.subjectAltName), false);
  await verifyCertificateSignature(certificate, certificate.spki);
});

Deno.test("createCertificateAuthority() makes a fresh key and positive 16-octet serial number each time", async () => {
  const serials = new Set<string>();
  const keys = new Set<string>();
  for (let i = 0; i < 20; i++) {
    const { certificate } = await createCertificateAuthority(now);
    assert.equal(certificate.serialNumber.length, 16);
    assert.ok((certificate.serialNumber[0] ?? 0) < 0x80);
    serials.add(certificate.serialNumber.toHex());
    keys.add(certificate.spki.toHex());
  }
  assert.equal(serials.size, 20);
  assert.equal(keys.size, 20);
});

Deno.test("certificates end in GeneralizedTime when they are valid beyond 2049", async () => {
  const { certificate } = await createCertificateAuthority(new Date("2045-06-07T08:09:10Z"));
  assert.equal(certificate.notAfter.toISOString(), "2055-06-05T08:09:10.000Z");
});

Deno.test("issueClientCertificate() issues for exactly the given key and subject", async () => {
  const ca = await createCertificateAuthority(now);
  for (const type of ["ed25519", "p-256"] as const) {
    const { spki } = await generateKeyPair(type);
    const subject = nodeSubject("one");
    const certificate = await issueClientCertificate(ca, { spki, subject, lifetimeMs: 600_000 }, now);
    assert.deepEqual(certificate.spki, spki);
    assert.equal(nameText(certificate.subject.attributes), "O=system:nodes, CN=system:node:one");
    assert.deepEqual(certificate.issuer.der, ca.certificate.subject.der);
    assert.equal(certificate.notBefore.toISOString(), "2026-01-02T02:59:05.000Z");
    assert.equal(certificate.notAfter.toISOString(), "2026-01-02T03:14:05.000Z");
    assert.deepEqual(basicConstraints(certificate), { isCa: false });
    assert.deepEqual(extKeyUsage(certificate), ["1.3.6.1.5.5.7.3.2"]);
    assert.equal(subjectAltName(certificate), undefined);
    await verifyCertificateSignature(certificate, ca.keys.spki);
  }
});

Deno.test("issueClientCertificate() never issues a certificate that outlives the CA", async () => {
  const ca = await createCertificateAuthority(now);
  const { spki } = await generateKeyPair("p-256");
  const request = { spki, subject: nodeSubject("one"), lifetimeMs: 20 * 365 * 24 * 3600 * 1000 };
  const certificate = await issueClientCertificate(ca, request, now);
  assert.deepEqual(certificate.notAfter, ca.certificate.notAfter);
});

Deno.test("issueClientCertificate() refuses bytes when they are not a key", async () => {
  const ca = await createCertificateAuthority(now);
  await assertRefused(() => issueAdminCertificate(ca, new Uint8Array(91), now), /^malformed\//);
});

Deno.test("issueAdminCertificate() and issueServiceCertificate() issue for a year, each with its own subject", async () => {
  const ca = await createCertificateAuthority(now);
  const { spki } = await generateKeyPair("p-256");
  const admin = await issueAdminCertificate(ca, spki, now);
  const service = await issueServiceCertificate(ca, spki, now);
  assert.equal(nameText(admin.subject.attributes), "O=kubeadm:cluster-admins, CN=bootstrapper-admin");
  assert.equal(
    nameText(service.subject.attributes),
    "O=bootstrapper:join-services, CN=bootstrapper:join-service",
  );
  assert.equal(admin.notAfter.toISOString(), "2027-01-02T03:04:05.000Z");
});

Deno.test("joinCertificateAuthority() restores a CA only when key and certificate belong together", async () => {
  const [one, other] = [await createCertificateAuthority(now), await createCertificateAuthority(now)];
  const keys = await readPrivateKeyPem(await privateKeyPem(one.keys), "ca.key");
  const certificate = readCertificate(one.certificate.der, "ca.crt");
  const again = joinCertificateAuthority(certificate, keys);
  const admin = await issueAdminCertificate(again, other.keys.spki, now);
  await verifyCertificateSignature(admin, one.certificate.spki);
  await assertRefused(() => joinCertificateAuthority(other.certificate, keys), "precondition/ca-key");
});
