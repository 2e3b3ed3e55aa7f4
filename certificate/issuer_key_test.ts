import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import type { Bytes } from "../platform/bytes.ts";
import { concat, copyOf, equalBytes } from "../platform/bytes.ts";
import { BootstrapError } from "../platform/errors.ts";
import { mintCertificate } from "./_mint.ts";
import { joinCertificateAuthority } from "./ca.ts";
import type { CertificateAuthority } from "./ca.ts";
import { checkCaCertificate, checkNodeCertificate, checkServingCertificate } from "./chain.ts";
import { clusterIdOf } from "./cluster_id.ts";
import { EXTENSION, subjectKeyIdentifier } from "./extensions.ts";
import { readIssuerKeyPem } from "./issuer_key.ts";
import { generateKeyPair, privateKeyPem } from "./keys.ts";
import { ATTRIBUTE } from "./name.ts";
import { readPem, writePem } from "./pem.ts";
import { assertRefused } from "./testing/certificates.ts";
import { issueNodeCertificates } from "./testing/node_certificates.ts";

const now = new Date("2026-01-02T03:04:05Z");
const HOUR_MS = 3_600_000;

const text = (value: string | Uint8Array) => typeof value === "string" ? value : new TextDecoder().decode(value);

/** Keys in the forms in which kubeadm writes them, by its names of algorithms, and as PKCS#8. */
function madeKeys(): Readonly<Record<string, string>> {
  const rsa = (modulusLength: number) => generateKeyPairSync("rsa", { modulusLength }).privateKey;
  const ec = (namedCurve: string) => generateKeyPairSync("ec", { namedCurve }).privateKey;
  const rsa2048 = rsa(2048);
  return {
    "RSA-2048": text(rsa2048.export({ format: "pem", type: "pkcs1" })),
    "RSA-2048 in PKCS#8": text(rsa2048.export({ format: "pem", type: "pkcs8" })),
    "RSA-4096": text(rsa(4096).export({ format: "pem", type: "pkcs1" })),
    "ECDSA-P256": text(ec("prime256v1").export({ format: "pem", type: "sec1" })),
    "ECDSA-P384": text(ec("secp384r1").export({ format: "pem", type: "sec1" })),
  };
}

async function caOf(pem: string): Promise<CertificateAuthority> {
  const keys = await readIssuerKeyPem(pem, "ca.key");
  const certificate = await mintCertificate({
    subject: [{ oid: ATTRIBUTE.commonName, value: "kubernetes" }],
    spki: keys.spki,
    notBefore: now,
    notAfter: new Date(now.getTime() + 10 * HOUR_MS),
    isCa: true,
    keyUsage: ["digitalSignature", "keyEncipherment", "keyCertSign"],
    extKeyUsage: [],
    dnsNames: ["kubernetes"],
  }, { keys });
  return joinCertificateAuthority(certificate, keys);
}

const keys = madeKeys();

for (const [name, pem] of Object.entries(keys)) {
  Deno.test(`readIssuerKeyPem() reads ${name}, and nodes accept what it signs`, async () => {
    const ca = await caOf(pem);
    assert.equal(ca.keys.privateKey.extractable, false);
    const checked = await checkCaCertificate(ca.certificate.der, await clusterIdOf(ca.certificate));
    const [client, serving] = [await generateKeyPair("p-256"), await generateKeyPair("p-256")];
    const node = { nodeName: "worker-1", addresses: ["10.0.0.7"], clientKey: client.spki, servingKey: serving.spki };
    const admission = { admissionUid: "00000000-0000-4000-8000-000000000000", epoch: 1 };
    const issued = await issueNodeCertificates(ca, { ...node, ...admission, lifetimeMs: HOUR_MS }, now);
    await checkNodeCertificate(issued.client.der, checked, { ...node, now });
    await checkServingCertificate(issued.serving.der, checked, { ...node, now });
  });
}

Deno.test("a certificate names the identifier that is in its issuer's certificate, whatever it was made from", async () => {
  const { keys: own, certificate } = await caOf(keys["ECDSA-P256"] ?? "");
  const identifier = subjectKeyIdentifier(certificate) ?? assert.fail();
  const other = Uint8Array.from(identifier, (byte) => byte ^ 0xff);
  const extensions = certificate.extensions.map((extension) =>
    extension.oid === EXTENSION.subjectKeyIdentifier
      ? { ...extension, value: concat(Uint8Array.of(0x04, other.length), other) }
      : extension
  );
  const node = await generateKeyPair("p-256");
  const { client } = await issueNodeCertificates({ keys: own, certificate: { ...certificate, extensions } }, {
    ...{ nodeName: "worker-1", addresses: [], clientKey: node.spki, servingKey: node.spki },
    ...{ epoch: 1, lifetimeMs: HOUR_MS },
  }, now);
  const authority = client.extensions.find(({ oid }) => oid === EXTENSION.authorityKeyIdentifier);
  assert.ok(equalBytes(authority?.value.slice(-other.length) ?? new Uint8Array(), other));
});

Deno.test("readIssuerKeyPem() refuses keys that are too short, of other types, encrypted, or none", async () => {
  const short = generateKeyPairSync("rsa", { modulusLength: 1024 }).privateKey.export({ format: "pem", type: "pkcs1" });
  const curve = generateKeyPairSync("ec", { namedCurve: "secp521r1" }).privateKey;
  const cases: readonly (readonly [pem: string, code: string])[] = [
    [text(short), "refused/key-type"],
    [text(curve.export({ format: "pem", type: "pkcs8" })), "refused/key-type"],
    [await privateKeyPem(await generateKeyPair("ed25519")), "refused/key-type"],
    [await privateKeyPem(await generateKeyPair("p-256"), "correct horse battery"), "malformed/pem"],
    [writePem("PUBLIC KEY", new Uint8Array(32)), "malformed/pem"],
    [writePem("RSA PRIVATE KEY", new Uint8Array(32)), "malformed/der"],
    ["", "malformed/pem"],
  ];
  for (const [pem, code] of cases) await assertRefused(() => readIssuerKeyPem(pem, "ca.key"), code, code);
});

Deno.test("readIssuerKeyPem() refuses a key with bytes behind it, and says nothing of the key", async () => {
  const der = readPem(keys["ECDSA-P256"] ?? "", "EC PRIVATE KEY", "key");
  const longer: Bytes = concat(der, Uint8Array.of(0));
  await assertRefused(() => readIssuerKeyPem(writePem("EC PRIVATE KEY", longer), "ca.key"), "malformed/der");
  const wrong = copyOf(der);
  wrong[3] = 0xff;
  const error = await assertRefused(
    () => readIssuerKeyPem(writePem("EC PRIVATE KEY", wrong), "ca.key"),
    /^malformed\//,
  );
  assert.ok(error instanceof BootstrapError && !JSON.stringify(error.details).includes(der.toHex().slice(20, 60)));
});
