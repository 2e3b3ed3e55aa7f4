import assert from "node:assert/strict";
import { join } from "node:path";
import { concat, fromHex, utf8 } from "../platform/bytes.ts";
import { assertRefused, certificatesIn, element, oracleTest } from "./testing/certificates.ts";
import { createCertificateAuthority } from "./ca.ts";
import {
  basicConstraints,
  EXT_KEY_USAGE,
  EXTENSION,
  extKeyUsage,
  keyUsage,
  refuseUnknownCritical,
  subjectAltName,
} from "./extensions.ts";
import { type Certificate, type CertificateProfile, readCertificate } from "./x509.ts";

const { certificate: base } = await createCertificateAuthority(new Date("2026-01-02T03:04:05Z"));

function withExtension(oid: string, valueHex: string, profile: CertificateProfile = "strict"): Certificate {
  return {
    ...base,
    profile,
    extensions: [{ oid, critical: false, value: fromHex(valueHex.replaceAll(" ", ""), "value") }],
  };
}

const bare = { ...base, extensions: [] };

Deno.test("extensions read as undefined when the certificate has none", () => {
  for (const read of [basicConstraints, keyUsage, extKeyUsage, subjectAltName]) assert.equal(read(bare), undefined);
});

Deno.test("basicConstraints() reads CA and path length when they are encoded in DER", () => {
  const read = (value: string) => basicConstraints(withExtension(EXTENSION.basicConstraints, value));
  assert.deepEqual(read("30 00"), { isCa: false });
  assert.deepEqual(read("30 03 01 01 ff"), { isCa: true });
  assert.deepEqual(read("30 06 01 01 ff 02 01 03"), { isCa: true, pathLength: 3 });
});

const REFUSED: readonly [name: string, oid: string, value: string, read: (certificate: Certificate) => unknown][] = [
  ["cA FALSE written out", EXTENSION.basicConstraints, "30 03 01 01 00", basicConstraints],
  ["a negative path length", EXTENSION.basicConstraints, "30 06 01 01 ff 02 01 ff", basicConstraints],
  ["a third constraint", EXTENSION.basicConstraints, "30 08 01 01 ff 02 01 00 05 00", basicConstraints],
  ["bytes after the constraints", EXTENSION.basicConstraints, "30 00 00", basicConstraints],
  ["key usages that end in zero bits", EXTENSION.keyUsage, "03 02 00 80", keyUsage],
  ["a tenth key usage", EXTENSION.keyUsage, "03 03 06 80 40", keyUsage],
  ["key usages that are not a BIT STRING", EXTENSION.keyUsage, "04 01 80", keyUsage],
  ["no extended key usage", EXTENSION.extKeyUsage, "30 00", extKeyUsage],
  ["an extended key usage that is not an OID", EXTENSION.extKeyUsage, "30 02 05 00", extKeyUsage],
  ["no alternative name", EXTENSION.subjectAltName, "30 00", subjectAltName],
  ["an empty DNS name", EXTENSION.subjectAltName, "30 02 82 00", subjectAltName],
  ["a DNS name with a zero octet", EXTENSION.subjectAltName, "30 05 82 03 61 00 62", subjectAltName],
  ["an IP address of 5 octets", EXTENSION.subjectAltName, "30 07 87 05 01 02 03 04 05", subjectAltName],
  ["two names in one directoryName", EXTENSION.subjectAltName, "30 06 a4 04 30 00 30 00", subjectAltName],
];

for (const [name, oid, value, read] of REFUSED) {
  Deno.test(`extensions refuse ${name}`, async () => {
    await assertRefused(() => read(withExtension(oid, value)), "malformed/der");
  });
}

Deno.test("keyUsage() forgives zero bits at the end when the certificate was read with the vendor profile", () => {
  assert.deepEqual(keyUsage(withExtension(EXTENSION.keyUsage, "03 02 00 04", "vendor")), new Set(["keyCertSign"]));
});

Deno.test("keyUsage() reads all nine bits when they are set", () => {
  assert.equal(keyUsage(withExtension(EXTENSION.keyUsage, "03 03 07 ff 80"))?.size, 9);
});

Deno.test("subjectAltName() reads DNS names, addresses and directory names, and keeps others as they are", () => {
  const name = element(0x30, element(0x31, element(0x30, fromHex("0603550403", "oid"), element(0x0c, utf8("ä")))));
  const names = concat(
    element(0x82, utf8("kubernetes")),
    element(0x87, Uint8Array.of(10, 0, 0, 1)),
    element(0xa4, name),
    element(0x86, utf8("https://x")),
  );
  const read = subjectAltName(withExtension(EXTENSION.subjectAltName, element(0x30, names).toHex()));
  assert.deepEqual(read, [
    { type: "dns", value: "kubernetes" },
    { type: "ip", value: Uint8Array.of(10, 0, 0, 1) },
    { type: "directoryName", value: { der: name, attributes: [{ oid: "2.5.4.3", value: "ä" }] } },
    { type: "other", value: element(0x86, utf8("https://x")) },
  ]);
});

Deno.test("refuseUnknownCritical() refuses exactly the unknown critical extensions", async () => {
  refuseUnknownCritical(base, [EXTENSION.keyUsage, EXTENSION.basicConstraints]);
  const error = await assertRefused(
    () => refuseUnknownCritical(base, [EXTENSION.keyUsage]),
    "refused/critical-extension",
  );
  assert.equal(error.details.seen, EXTENSION.basicConstraints);
});

oracleTest("extensions distinguish an endorsement key's certificate from an attestation key's", async (root) => {
  const read = async (file: string) => {
    const [der] = await certificatesIn(join(root, "tpm/ek-roots", file));
    return readCertificate(der ?? new Uint8Array(), file);
  };
  assert.deepEqual(keyUsage(await read("uca_tpm_rsa_enc_cert.pem")), new Set(["keyEncipherment"]));
  assert.deepEqual(keyUsage(await read("pca_tpm_ecc_enc_cert.pem")), new Set(["keyAgreement"]));
  assert.deepEqual(keyUsage(await read("uca_tpm_rsa_sign_cert.pem")), new Set(["digitalSignature"]));
});

oracleTest("subjectAltName() reads the manufacturer of a TPM when the extension is critical", async (root) => {
  const ek = readCertificate(await Deno.readFile(join(root, "tpm/swtpm/ek_rsa_cert.der")), "ek");
  const extension = ek.extensions.find(({ oid }) => oid === EXTENSION.subjectAltName);
  assert.equal(extension?.critical, true);
  const [name] = subjectAltName(ek) ?? [];
  assert.ok(name?.type === "directoryName");
  assert.deepEqual(name.value.attributes[0], { oid: "2.23.133.2.1", value: "id:00001014" });
  assert.deepEqual(extKeyUsage(ek), [EXT_KEY_USAGE.tcgEkCertificate]);
});
