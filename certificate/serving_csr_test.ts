import assert from "node:assert/strict";
import fc from "fast-check";
import { concat, fromBase64, fromHex, utf8 } from "../platform/bytes.ts";
import { BootstrapError } from "../platform/errors.ts";
import { assertRefused, bitFlips, element, resigned, rewrapped } from "./testing/certificates.ts";
import { createNodeCsr, readCsr } from "./csr.ts";
import { generateKeyPair } from "./keys.ts";
import { nameText } from "./name.ts";
import { readServingCsr } from "./serving_csr.ts";

/** Made by Go 1.26's crypto/x509 from a template like the kubelet's: worker-1, 192.0.2.7, 2001:db8::7; P-256. */
const KUBELET_CSR = fromBase64(
  "MIIBLzCB1gIBADA2MRUwEwYDVQQKEwxzeXN0ZW06bm9kZXMxHTAbBgNVBAMTFHN5c3RlbTpub2RlOndvcmtlci0xMFkwEwYHKoZIzj0CAQYIKoZIzj0D" +
    "AQcDQgAE/vGaMN+iDwlo9pa1rGs568OeHNj7gX7jW1My6jUrMMKJNQOpalYijTtbX3xOkiReqq7y6ZVdz0cbf6pWs2C3w6A+MDwGCSqGSIb3DQEJDjEv" +
    "MC0wKwYDVR0RBCQwIoIId29ya2VyLTGHBMAAAgeHECABDbgAAAAAAAAAAAAAAAcwCgYIKoZIzj0EAwIDSAAwRQIgHoTnotnnB673942dxchVSR7ao8a3" +
    "ZI7RhFGwNGxq9IsCIQDaw/8TfqYdSSuEsTX56Hn7X1ngoyG6Th9avSYHEBbFBg==",
  "CSR",
);
/** The same with RSA of 2048 bits. */
const KUBELET_RSA_CSR = fromBase64(
  "MIICuTCCAaECAQAwNjEVMBMGA1UEChMMc3lzdGVtOm5vZGVzMR0wGwYDVQQDExRzeXN0ZW06bm9kZTp3b3JrZXItMTCCASIwDQYJKoZIhvcNAQEBBQAD" +
    "ggEPADCCAQoCggEBAMFdzZh4InK18VcxP5QFAT5JuoZGjGxzIMPMNztz8Kcn5juycdYUGOu3tdIClBrWXgsP2P7xoEK8ZqkzyaFiE9GHxj0/EQzeIp7U" +
    "Gb2qYf5ECHV/D/Xib0AqbBeqh09XfTKIyXPYgV0rI1QdOkNq1UBVuEaI3VfJl/cOylzaZZ+7J9ptPF10/IoQwXhX7tFfopf68xdZR30NmZ0Pc8yXJcUU" +
    "wWUxX5xnisCqmXkchSmDfXk0ryb+tJ1eDrUGsb+qE6uxOfBT1pk9AmaCFdic0X3WxQ2F1JYzDIorxdNdSFq0ZCT60cupysWh99Ou/13s5AXJ3iP7WGsj" +
    "ddCfzyBuFJ0CAwEAAaA+MDwGCSqGSIb3DQEJDjEvMC0wKwYDVR0RBCQwIoIId29ya2VyLTGHBMAAAgeHECABDbgAAAAAAAAAAAAAAAcwDQYJKoZIhvcN" +
    "AQELBQADggEBAHOrYai5WsUXWMOghTldFgLzC5FtzgUjeB/SWU1AevBO+Luduo/9I+qnhtU0PkK2mJu/F/vDzRdMyg0kWUXM5Sk0CFfIl3XY9abiP0aE" +
    "6jdNkVir5qK96AQSx6IeOJLSv/EHNvsnoBIf275/j1wc5mYnhXolDPcZRDzMYdo1lzt2qnnZwKovFTMZCi41kNizGGGDwMhGGRJK3XZQbrMYahRsER6n" +
    "g1SrInmVlgCr69txyYjojSgoV9AniFh0lyNSyKGIJ2rX8vGN30iuOopnssvN6gdmd0LdiNp2eUX6sw9w2RNeCDb/nksfyOA+yVz7GsV8TDPuOBhW3TuM" +
    "f7ZIhgw=",
  "CSR",
);

const EXTENSION_REQUEST = fromHex("06092a864886f70d01090e", "OID");
const CHALLENGE_PASSWORD = fromHex("06092a864886f70d010907", "OID");
const SUBJECT_ALT_NAME = fromHex("0603551d11", "OID");
const KEY_USAGE = fromHex("0603551d0f", "OID");

const dnsName = element(0x82, utf8("one"));
const namesOf = (...names: Uint8Array[]) => element(0x30, SUBJECT_ALT_NAME, element(0x04, element(0x30, ...names)));
const attribute = (...values: Uint8Array[]) => element(0x30, EXTENSION_REQUEST, element(0x31, ...values));
const asking = (...extensions: Uint8Array[]) => attribute(element(0x30, ...extensions));

const keys = await generateKeyPair("p-256");

/** A correctly signed request of node "one" with these attributes. */
const requestWith = async (...attributes: Uint8Array[]) =>
  await resigned(await createNodeCsr(keys, "one"), keys, (fields) => [
    ...fields.slice(0, 3),
    element(0xa0, ...attributes),
  ]);

for (const [der, keyType] of [[KUBELET_CSR, "p-256"], [KUBELET_RSA_CSR, "rsa"]] as const) {
  Deno.test(`readServingCsr() reads a kubelet's request when its key is ${keyType}`, async () => {
    const csr = await readServingCsr(der);
    assert.equal(nameText(csr.subject.attributes), "O=system:nodes, CN=system:node:worker-1");
    assert.equal(csr.keyType, keyType);
    assert.deepEqual(csr.names, [
      { type: "dns", value: "worker-1" },
      { type: "ip", value: Uint8Array.of(192, 0, 2, 7) },
      { type: "ip", value: fromHex("20010db8000000000000000000000007", "address") },
    ]);
    await assertRefused(() => readCsr(der), "refused/csr-attributes");
  });
}

Deno.test("readServingCsr() returns no names when the request asks for none", async () => {
  assert.deepEqual((await readServingCsr(await createNodeCsr(keys, "one"))).names, []);
});

Deno.test("readServingCsr() keeps the kinds of names that kubelets do not ask for", async () => {
  const email = element(0x81, utf8("a@b"));
  const csr = await readServingCsr(await requestWith(asking(namesOf(dnsName, email))));
  assert.deepEqual(csr.names, [{ type: "dns", value: "one" }, { type: "other", value: email }]);
});

const REFUSED: readonly [name: string, code: string, attributes: readonly Uint8Array[]][] = [
  ["has another attribute", "refused/csr-attributes", [
    element(0x30, CHALLENGE_PASSWORD, element(0x31, element(0x0c, utf8("x")))),
  ]],
  ["asks twice for extensions", "malformed/der", [asking(namesOf(dnsName)), asking(namesOf(dnsName))]],
  ["has a second attribute", "malformed/der", [
    asking(namesOf(dnsName)),
    element(0x30, CHALLENGE_PASSWORD, element(0x31, element(0x0c, utf8("x")))),
  ]],
  ["has two lists of extensions", "refused/csr-attributes", [
    attribute(element(0x30, namesOf(dnsName)), element(0x30, namesOf(dnsName))),
  ]],
  ["has no list of extensions", "refused/csr-attributes", [attribute()]],
  ["has an empty list of extensions", "malformed/der", [asking()]],
  ["has its names twice", "malformed/der", [asking(namesOf(dnsName), namesOf(dnsName))]],
  ["has an empty list of names", "malformed/der", [asking(namesOf())]],
  ["has something after its names", "malformed/der", [
    asking(element(0x30, SUBJECT_ALT_NAME, element(0x04, element(0x30, dnsName), element(0x05)))),
  ]],
  ["also asks for a key usage", "refused/csr-extensions", [
    asking(namesOf(dnsName), element(0x30, KEY_USAGE, element(0x04, Uint8Array.of(3, 2, 2, 4)))),
  ]],
  ["asks only for a key usage", "refused/csr-extensions", [
    asking(element(0x30, KEY_USAGE, element(0x04, Uint8Array.of(3, 2, 2, 4)))),
  ]],
  ["has a name with a zero octet", "malformed/der", [asking(namesOf(element(0x82, utf8("a\0b"))))]],
  ["has an address of 8 octets", "malformed/der", [asking(namesOf(element(0x87, new Uint8Array(8))))]],
  ["has 65 names", "malformed/der", [asking(namesOf(...Array.from({ length: 65 }, () => dnsName)))]],
  ["has extensions in no SET", "malformed/der", [element(0x30, EXTENSION_REQUEST, element(0x30, namesOf(dnsName)))]],
  ["has something after its extensions", "malformed/der", [
    element(0x30, EXTENSION_REQUEST, element(0x31, element(0x30, namesOf(dnsName))), element(0x05)),
  ]],
];

for (const [name, code, attributes] of REFUSED) {
  Deno.test(`readServingCsr() refuses a request when it ${name}, even if its signature is valid`, async () => {
    const der = await requestWith(...attributes);
    await assertRefused(() => readServingCsr(der), code);
  });
}

Deno.test("readServingCsr() refuses a request when any bit is flipped", async () => {
  for (const { flipped, at } of bitFlips(KUBELET_CSR)) {
    await assertRefused(() => readServingCsr(flipped), /^(malformed|refused)\//, at);
  }
});

Deno.test("readServingCsr() refuses a request when it is cut off, too long, or encoded a second way", async () => {
  for (const [way, odd] of Object.entries(rewrapped(KUBELET_CSR))) {
    await assertRefused(() => readServingCsr(odd), "malformed/der", way);
  }
  for (let length = 0; length < KUBELET_CSR.length; length++) {
    await assertRefused(() => readServingCsr(KUBELET_CSR.subarray(0, length)), "malformed/der", `${length} bytes`);
  }
  await assertRefused(() => readServingCsr(new Uint8Array(4097)), "malformed/der");
});

Deno.test("readServingCsr() throws only BootstrapErrors when signed attributes are random bytes", async () => {
  const right = asking(namesOf(dnsName, element(0x87, Uint8Array.of(10, 0, 0, 1))));
  await fc.assert(
    fc.asyncProperty(fc.nat(right.length), fc.uint8Array({ maxLength: 12 }), async (at, octets) => {
      const changed = concat(right.subarray(0, at), octets, right.subarray(at + octets.length));
      const der = await requestWith(changed);
      await readServingCsr(der).catch((error) => assert.ok(error instanceof BootstrapError, String(error)));
    }),
    { numRuns: 500 },
  );
});

Deno.test("readServingCsr() reads any names in a request", async () => {
  const dns = fc.stringMatching(/^[a-z0-9]([a-z0-9.-]{0,20}[a-z0-9])?$/).map((value) => ({ type: "dns", value }));
  const ip = fc.oneof(fc.uint8Array({ minLength: 4, maxLength: 4 }), fc.uint8Array({ minLength: 16, maxLength: 16 }))
    .map((octets) => ({ type: "ip", value: new Uint8Array(octets) }));
  await fc.assert(
    fc.asyncProperty(fc.array(fc.oneof(dns, ip), { minLength: 1, maxLength: 64 }), async (names) => {
      const encoded = names.map(({ value }) =>
        typeof value === "string" ? element(0x82, utf8(value)) : element(0x87, value)
      );
      assert.deepEqual((await readServingCsr(await requestWith(asking(namesOf(...encoded))))).names, names);
    }),
    { numRuns: 100 },
  );
});
