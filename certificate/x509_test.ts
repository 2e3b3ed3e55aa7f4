import assert from "node:assert/strict";
import { join } from "node:path";
import fc from "fast-check";
import { concat, fromHex, hex, utf8 } from "../platform/bytes.ts";
import { BootstrapError } from "../platform/errors.ts";
import { assertRefused, certificatesIn, element, fieldsOf, oracleTest, rewrapped } from "./testing/certificates.ts";
import { createCertificateAuthority } from "./ca.ts";
import { type Certificate, readCertificate } from "./x509.ts";
import { verifyCertificateSignature } from "./certificate_signature.ts";

const now = new Date("2026-01-02T03:04:05Z");

oracleTest(
  "readCertificate() accepts only genuine.der when the other files re-encode the same certificate",
  async (root) => {
    const genuine = readCertificate(await Deno.readFile(join(root, "tls/genuine.der")), "certificate");
    await verifyCertificateSignature(genuine, genuine.spki);
    assert.deepEqual(genuine.subject.attributes, [{ oid: "2.5.4.3", value: "attested" }]);
    const expected: Record<string, RegExp> = {
      "trailing_outside.der": /something follows it/,
      "trailing_inside.der": /something follows its last element/,
      "nonminimal_len.der": /a length is padded/,
      "indefinite.der": /a length is indefinite/,
      "v1.der": /version 1/,
    };
    for (const [file, reason] of Object.entries(expected)) {
      const der = await Deno.readFile(join(root, "tls", file));
      for (const profile of ["strict", "vendor"] as const) {
        const error = await assertRefused(() => readCertificate(der, file, profile), "malformed/der", file);
        assert.match(error.message, reason);
      }
    }
  },
);

/** Real certificates that are not strict DER or not strict RFC 5280. All others are read strictly. */
const VENDOR_HABITS: Readonly<Record<string, RegExp>> = {
  "tpm/ek-roots/NTC1.pem": /SET OF is not in order/,
  "tpm/ek-roots/NUVO_2110.pem": /SET OF is not in order/,
  "tpm/ek-roots/Alibaba_Cloud_vTPM_EK.pem": /GeneralizedTime/,
};

oracleTest("readCertificate() reads every real certificate, three of them only as a vendor's", async (root) => {
  let read = 0;
  for (const folder of ["tpm/ek-roots", "tpm/swtpm", "snp", "tdx"]) {
    for await (const { name } of Deno.readDir(join(root, folder))) {
      const isCertificate = /\.(der|crt|cer)$|cert_chain_milan/.test(name) && name !== "rootcrl.der";
      const path = join(root, folder, name);
      const isPem = name.endsWith(".pem") && (await Deno.readTextFile(path)).includes("BEGIN CERTIFICATE");
      if (!isCertificate && !isPem) continue;
      for (const der of await certificatesIn(path)) {
        const habit = VENDOR_HABITS[`${folder}/${name}`];
        if (habit === undefined) assert.equal(hex(readCertificate(der, name).der), hex(der));
        else assert.match((await assertRefused(() => readCertificate(der, name), "malformed/der")).message, habit);
        assert.equal(readCertificate(der, name, "vendor").profile, "vendor");
        read++;
      }
    }
  }
  assert.ok(read >= 35, `only ${read} certificates were read`);
});

oracleTest(
  "readCertificate() reads serial number 0, an empty subject and the year 9999 when vendors use them",
  async (root) => {
    const vcek = readCertificate(await Deno.readFile(join(root, "snp/vcek_milan.der")), "vcek");
    assert.equal(hex(vcek.serialNumber), "00");
    const [uca] = await certificatesIn(join(root, "tpm/ek-roots/uca_tpm_rsa_enc_cert.pem"));
    assert.deepEqual(readCertificate(uca ?? new Uint8Array(), "ek").subject.attributes, []);
    const ek = readCertificate(await Deno.readFile(join(root, "tpm/swtpm/ek_rsa_cert.der")), "ek");
    assert.equal(ek.notAfter.getUTCFullYear(), 9999);
  },
);

Deno.test("readCertificate() reads back the certificates that this project makes", async () => {
  const { certificate, keys } = await createCertificateAuthority(now);
  const read = readCertificate(certificate.der, "CA");
  assert.deepEqual(read.spki, keys.spki);
  assert.equal(read.publicKeyAlgorithm.oid, "1.2.840.10045.2.1");
  assert.equal(read.signatureAlgorithm.oid, "1.2.840.10045.4.3.2");
  assert.equal(read.notBefore.toISOString(), "2026-01-02T02:59:05.000Z");
  assert.ok(Object.isFrozen(read));
});

Deno.test("readCertificate() refuses a certificate when it is encoded a second way", async () => {
  const { certificate } = await createCertificateAuthority(now);
  for (const [way, der] of Object.entries(rewrapped(certificate.der))) {
    await assertRefused(() => readCertificate(der, "CA"), "malformed/der", way);
  }
});

Deno.test("readCertificate() refuses a certificate when it is cut off anywhere or something follows", async () => {
  const { certificate: { der } } = await createCertificateAuthority(now);
  for (let length = 0; length < der.length; length++) {
    assert.throws(() => readCertificate(der.subarray(0, length), "CA"), BootstrapError);
  }
  fc.assert(fc.property(fc.uint8Array({ minLength: 1, maxLength: 40 }), (extra) => {
    assert.throws(() => readCertificate(concat(der, extra), "CA"), BootstrapError);
  }));
});

Deno.test("readCertificate() refuses a certificate when it has more than 16 KiB", async () => {
  await assertRefused(() => readCertificate(new Uint8Array((1 << 14) + 1), "CA"), "malformed/der");
});

Deno.test("readCertificate() throws only malformed/… when any octets of a certificate are replaced", async () => {
  const { certificate: { der } } = await createCertificateAuthority(now);
  fc.assert(
    fc.property(fc.nat(der.length - 1), fc.uint8Array({ minLength: 1, maxLength: 8 }), (at, octets) => {
      const changed = concat(der.subarray(0, at), octets, der.subarray(at + octets.length)).subarray(0, der.length);
      try {
        readCertificate(changed, "CA");
      } catch (error) {
        assert.ok(error instanceof BootstrapError && error.code.startsWith("malformed/"), String(error));
      }
    }),
    { numRuns: 2000 },
  );
});

/** The parts of a certificate. A test changes one and encodes the certificate again. */
function parts(certificate: Certificate) {
  const fields = fieldsOf(certificate.tbs);
  const [
    version = empty,
    serial = empty,
    inner = empty,
    issuer = empty,
    validity = empty,
    subject = empty,
    spki = empty,
  ] = fields;
  return {
    version,
    serial,
    inner,
    issuer,
    validity,
    subject,
    spki,
    uniqueId: empty,
    extensions: fields[7] ?? empty,
    outer: certificate.signatureAlgorithm.der as Uint8Array,
    signature: element(0x03, Uint8Array.of(0), certificate.signature) as Uint8Array,
  };
}

const empty = new Uint8Array(0);
const extension = (oid: string, ...rest: Uint8Array[]) => element(0x30, element(0x06, fromHex(oid, "oid")), ...rest);
const extensionList = (...list: Uint8Array[]) => element(0xa3, element(0x30, ...list));
const value = element(0x04, element(0x30));

function assembled(p: ReturnType<typeof parts>): Uint8Array {
  const { version, serial, inner, issuer, validity, subject, spki, uniqueId, extensions } = p;
  const tbs = element(0x30, version, serial, inner, issuer, validity, subject, spki, uniqueId, extensions);
  return element(0x30, tbs, p.outer, p.signature);
}

const CHANGES: readonly [name: string, change: Partial<ReturnType<typeof parts>>][] = [
  ["the version is left out", { version: empty }],
  ["the version is 2", { version: element(0xa0, element(0x02, Uint8Array.of(1))) }],
  ["the version is 4", { version: element(0xa0, element(0x02, Uint8Array.of(3))) }],
  ["something follows the version", { version: element(0xa0, element(0x02, Uint8Array.of(2)), element(0x05)) }],
  ["something follows the key", {
    spki: element(0x30, element(0x30, fromHex("06032b6570", "oid")), element(0x03, new Uint8Array(33)), element(0x05)),
  }],
  ["something follows the list of extensions", {
    extensions: element(0xa3, element(0x30, extension("551d13", value)), element(0x05)),
  }],
  ["the serial number is negative", { serial: element(0x02, Uint8Array.of(0x80)) }],
  ["the serial number has 22 octets", { serial: element(0x02, new Uint8Array(22).fill(1)) }],
  ["the serial number is padded", { serial: element(0x02, Uint8Array.of(0, 1)) }],
  ["the inner algorithm differs", { inner: fromHex("300506032b6570", "algorithm") }],
  ["the outer algorithm differs", { outer: fromHex("300a06082a8648ce3d040303", "algorithm") }],
  ["the algorithm has parameters twice", {
    inner: fromHex("300e06082a8648ce3d04030205000500", "algorithm"),
    outer: fromHex("300e06082a8648ce3d04030205000500", "algorithm"),
  }],
  ["the issuer is not a name", { issuer: element(0x04) }],
  ["the validity has a third time", {
    validity: element(0x30, ...[1, 2, 3].map(() => element(0x17, utf8("260101000000Z")))),
  }],
  ["an RDN is empty", { subject: element(0x30, element(0x31)) }],
  ["there is a unique ID for the issuer", { uniqueId: element(0x81, Uint8Array.of(0, 1)) }],
  ["the list of extensions is empty", { extensions: extensionList() }],
  ["an extension is duplicated", { extensions: extensionList(extension("551d13", value), extension("551d13", value)) }],
  ["an extension is marked as not critical", {
    extensions: extensionList(extension("551d13", element(0x01, Uint8Array.of(0)), value)),
  }],
  ["critical is 01", { extensions: extensionList(extension("551d13", element(0x01, Uint8Array.of(1)), value)) }],
  ["an extension has something after its value", { extensions: extensionList(extension("551d13", value, value)) }],
  ["something follows the body", {
    extensions: concat(extensionList(extension("551d13", value)), element(0x05)),
  }],
  ["there are 33 extensions", {
    extensions: extensionList(
      ...Array.from({ length: 33 }, (_, i) => extension("551d" + hex(Uint8Array.of(i)), value)),
    ),
  }],
  ["the signature is not of whole octets", { signature: element(0x03, Uint8Array.of(1, 0x30, 0)) }],
  ["something follows the signature", { signature: concat(element(0x03, Uint8Array.of(0)), element(0x05)) }],
];

for (const [name, change] of CHANGES) {
  Deno.test(`readCertificate() refuses a certificate when ${name}`, async () => {
    const { certificate } = await createCertificateAuthority(now);
    const original = parts(certificate);
    assert.equal(hex(assembled(original)), hex(certificate.der));
    await assertRefused(() => readCertificate(assembled({ ...original, ...change }), "CA"), "malformed/der");
  });
}
