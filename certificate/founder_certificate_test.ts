import assert from "node:assert/strict";
import { hex } from "../platform/bytes.ts";
import { mintCertificate } from "./_mint.ts";
import { EXT_KEY_USAGE, subjectAltName } from "./extensions.ts";
import { checkFounderCertificate, createFounderCertificate } from "./founder_certificate.ts";
import { generateKeyPair } from "./keys.ts";
import { ATTRIBUTE } from "./name.ts";

const keys = await generateKeyPair("p-256");
const right = {
  subject: [{ oid: ATTRIBUTE.commonName, value: "bootstrapper-founder" }],
  spki: keys.spki,
  notBefore: new Date("1970-01-01T00:00:00Z"),
  notAfter: new Date("9999-12-31T23:59:59Z"),
  isCa: false,
  keyUsage: ["digitalSignature"],
  extKeyUsage: [EXT_KEY_USAGE.serverAuth, EXT_KEY_USAGE.clientAuth],
  dnsNames: ["cp-1.example.org"],
  addresses: [Uint8Array.of(127, 0, 0, 1)],
} as const;

Deno.test("createFounderCertificate() makes what checkFounderCertificate() accepts, for names and addresses", async () => {
  for (const host of ["192.0.2.7", "2001:db8::7", "cp-1.example.org", "127.0.0.1"]) {
    const { der } = await createFounderCertificate(keys, host);
    assert.deepEqual((await checkFounderCertificate(der, host)).spki, keys.spki, host);
  }
});

Deno.test("createFounderCertificate() names the host and 127.0.0.1, each once", async () => {
  const names = async (host: string) =>
    subjectAltName(await createFounderCertificate(keys, host))?.map((name) =>
      name.type === "ip" ? hex(name.value) : name.type === "dns" ? name.value : name.type
    );
  assert.deepEqual(await names("192.0.2.7"), ["c0000207", "7f000001"]);
  assert.deepEqual(await names("cp-1.example.org"), ["cp-1.example.org", "7f000001"]);
  assert.deepEqual(await names("127.0.0.1"), ["7f000001"]);
});

Deno.test("checkFounderCertificate() takes the form that createFounderCertificate() makes", async () => {
  const { der } = await mintCertificate(right, { keys });
  await checkFounderCertificate(der, "cp-1.example.org");
});

const wrong: readonly (readonly [what: string, change: object, code: string])[] = [
  ["another subject", { subject: [{ oid: ATTRIBUTE.commonName, value: "x" }] }, "refused/certificate-subject"],
  ["a CA", { isCa: true }, "refused/certificate-constraints"],
  ["another key usage", { keyUsage: ["digitalSignature", "keyCertSign"] }, "refused/certificate-key-usage"],
  ["only one usage", { extKeyUsage: [EXT_KEY_USAGE.serverAuth] }, "refused/certificate-usage"],
  ["no usage", { extKeyUsage: [] }, "refused/certificate-usage"],
  ["another name", { dnsNames: ["cp-2.example.org"] }, "refused/certificate-names"],
  ["no loopback", { addresses: [] }, "refused/certificate-names"],
  ["no names", { addresses: [], dnsNames: [] }, "refused/certificate-names"],
  ["an end", { notAfter: new Date("2049-01-01T00:00:00Z") }, "refused/certificate-validity"],
  ["a beginning", { notBefore: new Date("2020-01-01T00:00:00Z") }, "refused/certificate-validity"],
];
for (const [what, change, code] of wrong) {
  Deno.test(`checkFounderCertificate() refuses a certificate with ${what}`, async () => {
    const { der } = await mintCertificate({ ...right, ...change }, { keys });
    await assert.rejects(checkFounderCertificate(der, "cp-1.example.org"), { code });
  });
}

Deno.test("checkFounderCertificate() refuses another signer, another kind of key, and too many bytes", async () => {
  const other = await generateKeyPair("p-256");
  const forged = await mintCertificate(right, { keys: other });
  await assert.rejects(checkFounderCertificate(forged.der, "cp-1.example.org"), {
    code: "refused/certificate-signature",
  });
  const edwards = await generateKeyPair("ed25519");
  const { der } = await mintCertificate({ ...right, spki: edwards.spki }, { keys });
  await assert.rejects(checkFounderCertificate(der, "cp-1.example.org"), { code: "refused/key-type" });
  await assert.rejects(checkFounderCertificate(new Uint8Array(2049), "cp-1.example.org"), { code: "malformed/size" });
});
