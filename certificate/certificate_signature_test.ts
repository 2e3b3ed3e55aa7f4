import assert from "node:assert/strict";
import { join } from "node:path";
import fc from "fast-check";
import { copyOf, fromHex, randomBytes } from "../platform/bytes.ts";
import { assertRefused, certificatesIn, derEcdsa, element, oracleTest } from "./testing/certificates.ts";
import { createCertificateAuthority } from "./ca.ts";
import { rawEcdsaSignature, verifyCertificateSignature, verifySignedDer } from "./certificate_signature.ts";
import { type Certificate, readCertificate } from "./x509.ts";

const now = new Date("2026-01-02T03:04:05Z");
const message = randomBytes(100);

const sha = (arc: string) => `300d06096086480165030402${arc}0500`;
const pss = (arc: string, salt: string, trailer: string) =>
  element(
    0x30,
    fromHex("06092a864886f70d01010a", "oid"),
    element(
      0x30,
      element(0xa0, fromHex(sha(arc), "hash")),
      element(0xa1, element(0x30, fromHex(`06092a864886f70d010108${sha(arc)}`, "mgf"))),
      element(0xa2, element(0x02, fromHex(salt, "salt"))),
      fromHex(trailer, "trailer"),
    ),
  ).toHex();
const RSA = { modulusLength: 2048, publicExponent: Uint8Array.of(1, 0, 1) };

/** Each AlgorithmIdentifier with the WebCrypto parameters that make such a signature. */
const ALLOWED: readonly [name: string, algorithm: string, key: Algorithm & Record<string, unknown>][] = [
  ["Ed25519", "300506032b6570", { name: "Ed25519" }],
  ...(["P-256", "P-384"] as const).flatMap((namedCurve) =>
    ([["SHA-256", "02"], ["SHA-384", "03"]] as const).map(([hash, arc]) =>
      [
        `ECDSA ${namedCurve} ${hash}`,
        `300a06082a8648ce3d0403${arc}`,
        { name: "ECDSA", namedCurve, hash },
      ] as [string, string, Algorithm & Record<string, unknown>]
    )
  ),
  ["RSA SHA-256", "300d06092a864886f70d01010b0500", { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256", ...RSA }],
  ["RSA SHA-384", "300d06092a864886f70d01010c0500", { name: "RSASSA-PKCS1-v1_5", hash: "SHA-384", ...RSA }],
  ["PSS SHA-256", pss("01", "20", ""), { name: "RSA-PSS", hash: "SHA-256", saltLength: 32, ...RSA }],
  ["PSS SHA-384", pss("02", "30", ""), { name: "RSA-PSS", hash: "SHA-384", saltLength: 48, ...RSA }],
  ["PSS SHA-384 with trailer", pss("02", "30", "a303020101"), {
    name: "RSA-PSS",
    hash: "SHA-384",
    saltLength: 48,
    ...RSA,
  }],
];

const identifier = (der: string) => ({ oid: "1.2.3", der: fromHex(der, "algorithm") });

async function keysFor(algorithm: Algorithm) {
  const keys = await crypto.subtle.generateKey(algorithm, true, ["sign", "verify"]) as CryptoKeyPair;
  return { ...keys, spki: new Uint8Array(await crypto.subtle.exportKey("spki", keys.publicKey)) };
}

for (const [name, der, key] of ALLOWED) {
  Deno.test(`verifySignedDer() accepts ${name}, and refuses it when anything is changed`, async () => {
    const { privateKey, spki } = await keysFor(key);
    const raw = new Uint8Array(await crypto.subtle.sign(key, privateKey, message));
    const signature = key.name === "ECDSA" ? derEcdsa(raw) : raw;
    const check = (bytes: Uint8Array) => verifySignedDer(bytes, identifier(der), signature, spki, "test");
    assert.equal(await check(message), true);
    const other = copyOf(message);
    other[50] = (other[50] ?? 0) ^ 1;
    assert.equal(await check(other), false);
  });
}

const REFUSED: readonly [name: string, algorithm: string][] = [
  ["sha1WithRSAEncryption", "300d06092a864886f70d0101050500"],
  ["ecdsa-with-SHA1", "300906072a8648ce3d0401"],
  ["sha256WithRSAEncryption without parameters", "300b06092a864886f70d01010b"],
  ["ecdsa-with-SHA256 with parameters", "300c06082a8648ce3d0403020500"],
  ["PSS without parameters", "300b06092a864886f70d01010a"],
  ["PSS with a short salt", pss("02", "20", "")],
  ["PSS with another trailer", pss("02", "30", "a303020102")],
  ["RSA by an Ed25519 key", "300d06092a864886f70d01010b0500"],
  ["ECDSA by an Ed25519 key", "300a06082a8648ce3d040302"],
];

for (const [name, der] of REFUSED) {
  Deno.test(`verifySignedDer() refuses the algorithm ${name}`, async () => {
    const { spki } = await keysFor({ name: "Ed25519" });
    const check = () => verifySignedDer(message, identifier(der), new Uint8Array(64), spki, "test");
    await assertRefused(check, "refused/signature-algorithm");
  });
}

Deno.test("verifySignedDer() refuses a key when it is weak or odd", async () => {
  const weak = await keysFor({ name: "RSASSA-PKCS1-v1_5", hash: "SHA-256", ...RSA, modulusLength: 1024 } as Algorithm);
  const p521 = fromHex("30819b301006072a8648ce3d020106052b81040023038186000400", "spki").toHex() + "00".repeat(131);
  const koblitz = `3056301006072a8648ce3d020106052b8104000a03420004${"00".repeat(64)}`;
  const check = (spki: Uint8Array) =>
    verifySignedDer(message, identifier("300d06092a864886f70d01010b0500"), new Uint8Array(64), spki, "test");
  await assertRefused(() => check(weak.spki), "refused/key-type");
  const { message: said } = await assertRefused(() => check(fromHex(koblitz, "spki")), "refused/key-type");
  assert.match(said, /1\.2\.840\.10045\.2\.1 with 1\.3\.132\.0\.10/);
  await assertRefused(() => check(fromHex(p521, "spki")), "refused/signature-algorithm");
  await assertRefused(() => check(new Uint8Array(0)), "malformed/der");
});

Deno.test("rawEcdsaSignature() pads r and s to full length when they are short", () => {
  const raw = rawEcdsaSignature(fromHex("30080202008002020100", "signature"), 4, "test");
  assert.equal(raw.toHex(), "0000008000000100");
});

for (
  const [name, der] of [
    ["r is zero", "3006020100020101"],
    ["r is negative", "3006020180020101"],
    ["s is too long", "300a02010102050100000000"],
    ["there is a third number", "3009020101020101020101"],
    ["a number is padded", "300702020001020101"],
    ["something follows", "300602010102010100"],
    ["it is raw", "0000000100000001"],
  ] as const
) {
  Deno.test(`rawEcdsaSignature() refuses a signature when ${name}`, async () => {
    await assertRefused(() => rawEcdsaSignature(fromHex(der, "signature"), 4, "test"), "malformed/der");
  });
}

Deno.test("rawEcdsaSignature() decodes any encoded signature", () => {
  fc.assert(fc.property(fc.uint8Array({ minLength: 64, maxLength: 64 }), (raw) => {
    fc.pre(raw.subarray(0, 32).some(Boolean) && raw.subarray(32).some(Boolean));
    assert.deepEqual(rawEcdsaSignature(derEcdsa(raw), 32, "test"), copyOf(raw));
  }));
});

Deno.test("verifyCertificateSignature() refuses a certificate when another key of the same name signed it", async () => {
  const [one, other] = [await createCertificateAuthority(now), await createCertificateAuthority(now)];
  await verifyCertificateSignature(one.certificate, one.keys.spki);
  await assertRefused(
    () => verifyCertificateSignature(one.certificate, other.keys.spki),
    "refused/certificate-signature",
  );
});

async function readAll(root: string, file: string): Promise<Certificate[]> {
  return (await certificatesIn(join(root, file))).map((der) => readCertificate(der, file, "vendor"));
}

oracleTest("verifyCertificateSignature() verifies every real chain, including AMD's with RSASSA-PSS", async (root) => {
  for (const product of ["milan", "milan_vlek", "genoa", "genoa_vlek", "turin_vcek", "turin_vlek"]) {
    const [intermediate, rootCa] = await readAll(root, `snp/ask_ark_${product}.pem`);
    assert.ok(intermediate !== undefined && rootCa !== undefined);
    await verifyCertificateSignature(intermediate, rootCa.spki);
    await verifyCertificateSignature(rootCa, rootCa.spki);
  }
  const [ask] = await readAll(root, "snp/cert_chain_milan");
  const chains = [
    ["tpm/swtpm/ek_rsa_cert.der", "tpm/swtpm/issuercert.pem"],
    ["tpm/swtpm/ek_ecc384_cert.der", "tpm/swtpm/issuercert.pem"],
    ["tpm/swtpm/issuercert.pem", "tpm/swtpm/swtpm-localca-rootca-cert.pem"],
    ["tpm/ek-roots/pca_tpm_ecc_enc_cert.pem", "tpm/ek-roots/gcp_ek_ak_ca_intermediate_v3.crt"],
    ["tpm/ek-roots/gcp_ek_ak_ca_intermediate_v3.crt", "tpm/ek-roots/gcp_ek_ak_ca_root.crt"],
    ["tpm/ek-roots/uca_tpm_rsa_enc_cert.pem", "tpm/ek-roots/tpm_ek_intermediate_3.crt"],
    ["tpm/ek-roots/tpm_ek_intermediate_3.crt", "tpm/ek-roots/tpm_ek_root_1.cer"],
    ["tpm/ek-roots/NUVO_2110.pem", "tpm/ek-roots/NUVO_2110.pem"],
    ["tdx/trusted_root.pem", "tdx/trusted_root.pem"],
    ["snp/vcek_milan.der", "snp/cert_chain_milan"],
    ["snp/test-vcek.der", "snp/cert_chain_milan"],
  ] as const;
  for (const [file, issuerFile] of chains) {
    const [certificate] = await readAll(root, file);
    const [issuer] = await readAll(root, issuerFile);
    assert.ok(certificate !== undefined && issuer !== undefined);
    assert.deepEqual(certificate.issuer.der, issuer.subject.der, file);
    await verifyCertificateSignature(certificate, issuer.spki);
  }
  for (const file of ["snp/test-vcek-invalid-legacy.der", "snp/test-vcek-invalid-new.der"]) {
    const [certificate] = await readAll(root, file);
    assert.ok(certificate !== undefined && ask !== undefined);
    await assertRefused(() => verifyCertificateSignature(certificate, ask.spki), "refused/certificate-signature", file);
  }
});
