import assert from "node:assert/strict";
import { assertRefused } from "./testing/certificates.ts";
import type { NodeCertificateRequest } from "./ca.ts";
import {
  createCertificateAuthority,
  issueAdminCertificate,
  issueClientCertificate,
  issueServiceCertificate,
  joinCertificateAuthority,
  prepareNodeCertificates,
} from "./ca.ts";
import { issueNodeCertificates } from "./testing/node_certificates.ts";
import { readIssuerKeyPem } from "./issuer_key.ts";
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

Deno.test("issueClientCertificate() issues what is valid at once, although this machine's clock has jumped ahead", async () => {
  const ca = await createCertificateAuthority(now);
  const { spki } = await generateKeyPair("p-256");
  const ahead = new Date(now.getTime() + 3 * 3600_000);
  const certificate = await issueClientCertificate(
    ca,
    { spki, subject: nodeSubject("one"), lifetimeMs: 600_000 },
    ahead,
  );
  assert.deepEqual(certificate.notBefore, ca.certificate.notBefore);
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
  const service = await issueServiceCertificate(ca, "cp-1", spki, now);
  assert.equal(nameText(admin.subject.attributes), "O=kubeadm:cluster-admins, CN=bootstrapper-admin");
  assert.equal(
    nameText(service.subject.attributes),
    "O=bootstrapper:signers, CN=bootstrapper:signer:cp-1",
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

const UID = "0f8fad5b-d9cb-469f-a165-70867728950e";

async function nodeRequest(changes: Partial<NodeCertificateRequest> = {}): Promise<NodeCertificateRequest> {
  const [clientKey, servingKey] = [(await generateKeyPair("p-256")).spki, (await generateKeyPair("p-256")).spki];
  const addresses = ["192.0.2.7", "2001:db8::7"];
  const lifetimeMs = 7 * 24 * 3600 * 1000;
  return { nodeName: "one", admissionUid: UID, epoch: 3, clientKey, servingKey, addresses, lifetimeMs, ...changes };
}

Deno.test("prepareNodeCertificates() makes one certificate to call with and one to serve with", async () => {
  const ca = await createCertificateAuthority(now);
  const request = await nodeRequest();
  const { client, serving } = await issueNodeCertificates(ca, request, now);
  assert.equal(
    nameText(client.subject.attributes),
    `O=system:nodes, O=bootstrapper:admission:${UID}, O=bootstrapper:epoch:3, CN=system:node:one`,
  );
  assert.deepEqual(client.spki, request.clientKey);
  assert.deepEqual(extKeyUsage(client), ["1.3.6.1.5.5.7.3.2"]);
  assert.equal(subjectAltName(client), undefined);
  assert.equal(nameText(serving.subject.attributes), "O=system:nodes, CN=system:node:one");
  assert.deepEqual(serving.spki, request.servingKey);
  assert.deepEqual(extKeyUsage(serving), ["1.3.6.1.5.5.7.3.1"]);
  assert.deepEqual(subjectAltName(serving), [
    { type: "dns", value: "one" },
    { type: "ip", value: Uint8Array.of(192, 0, 2, 7) },
    { type: "ip", value: Uint8Array.fromHex("20010db8000000000000000000000007") },
  ]);
  for (const certificate of [client, serving]) {
    assert.deepEqual(keyUsage(certificate), new Set(["digitalSignature"]));
    assert.deepEqual(basicConstraints(certificate), { isCa: false });
    assert.equal(certificate.notBefore.toISOString(), "2026-01-02T02:59:05.000Z");
    assert.equal(certificate.notAfter.toISOString(), "2026-01-09T03:04:05.000Z");
    assert.equal(certificate.serialNumber.length, 16);
    await verifyCertificateSignature(certificate, ca.keys.spki);
  }
});

Deno.test("prepareNodeCertificates() names no admission for a founder, whose record does not exist yet", async () => {
  const ca = await createCertificateAuthority(now);
  const { admissionUid: _, ...founder } = await nodeRequest();
  const { client } = await issueNodeCertificates(ca, founder, now);
  assert.equal(
    nameText(client.subject.attributes),
    "O=system:nodes, O=bootstrapper:epoch:3, CN=system:node:one",
  );
});

Deno.test("prepareNodeCertificates() shows what is signed before it is signed, and sign() signs exactly that", async () => {
  const ca = await createCertificateAuthority(now);
  for (let i = 0; i < 50; i++) {
    const { client } = await prepareNodeCertificates(ca, await nodeRequest(), now);
    const signed = await client.sign();
    assert.deepEqual(signed.tbs, client.tbs);
    assert.deepEqual(signed.serialNumber, client.serialNumber);
    assert.deepEqual(signed.notAfter, client.notAfter);
    // The scalars of an ECDSA signature are short now and then.
    await verifyCertificateSignature(signed, ca.certificate.spki);
  }
});

Deno.test("prepareNodeCertificates() never outlives the CA, and refuses what is no key, admission or address", async () => {
  const ca = await createCertificateAuthority(now);
  const endless = await prepareNodeCertificates(ca, await nodeRequest({ lifetimeMs: 1e13 }), now);
  assert.deepEqual(endless.serving.notAfter, ca.certificate.notAfter);
  const refused: readonly (readonly [Partial<NodeCertificateRequest>, string | RegExp])[] = [
    [{ clientKey: new Uint8Array(91) }, /^malformed\//],
    [{ servingKey: new Uint8Array() }, /^malformed\//],
    [{ admissionUid: "x" }, "internal/admission"],
    [{ admissionUid: UID.toUpperCase() }, "internal/admission"],
    [{ epoch: 0 }, "internal/admission"],
    [{ epoch: 1.5 }, "internal/admission"],
    [{ addresses: ["kubernetes"] }, "internal/argument"],
  ];
  for (const [changes, code] of refused) {
    const request = await nodeRequest(changes);
    await assertRefused(() => prepareNodeCertificates(ca, request, now), code, JSON.stringify(changes));
  }
});

Deno.test("a CA signs with a key that cannot be exported", async () => {
  const ca = await createCertificateAuthority(now);
  const keys = await readIssuerKeyPem(await privateKeyPem(ca.keys), "ca.key");
  assert.equal(keys.privateKey.extractable, false);
  await assert.rejects(crypto.subtle.exportKey("pkcs8", keys.privateKey));
  const { client } = await issueNodeCertificates(
    joinCertificateAuthority(ca.certificate, keys),
    await nodeRequest(),
    now,
  );
  await verifyCertificateSignature(client, ca.certificate.spki);
  const encrypted = await privateKeyPem(ca.keys, "correct horse battery");
  await assertRefused(() => readIssuerKeyPem(encrypted, "ca.key"), "malformed/pem");
});
