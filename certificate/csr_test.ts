import assert from "node:assert/strict";
import fc from "fast-check";
import { concat } from "../platform/bytes.ts";
import { BootstrapError } from "../platform/errors.ts";
import { assertRefused, bitFlips, element, resigned, rewrapped } from "./testing/certificates.ts";
import { mintRequest } from "./_mint.ts";
import { checkNodeCsr, createNodeCsr, readCsr } from "./csr.ts";
import { generateKeyPair, type KeyPair } from "./keys.ts";
import { nameText } from "./name.ts";
import { nodeSubject } from "./subjects.ts";

const longName = "n".repeat(63);

Deno.test("readCsr() reads what createNodeCsr() made", async () => {
  const keys = await generateKeyPair("p-256");
  const der = await createNodeCsr(keys, "worker-1");
  const csr = await readCsr(der);
  assert.equal(nameText(csr.subject.attributes), "O=system:nodes, CN=system:node:worker-1");
  assert.deepEqual(csr.spki, keys.spki);
  assert.deepEqual(csr.der, der);
  checkNodeCsr(csr, "worker-1", keys.spki);
});

Deno.test("checkNodeCsr() refuses a request when it is for another node, group or key", async () => {
  const [keys, other] = [await generateKeyPair("p-256"), await generateKeyPair("p-256")];
  const csr = await readCsr(await createNodeCsr(keys, "one"));
  const error = await assertRefused(() => checkNodeCsr(csr, "two", keys.spki), "refused/csr-subject");
  assert.deepEqual(error.details, {
    check: "csr-subject",
    expected: "O=system:nodes, CN=system:node:two",
    seen: "O=system:nodes, CN=system:node:one",
  });
  await assertRefused(() => checkNodeCsr(csr, "one", other.spki), "refused/csr-key");
  const [o, cn] = nodeSubject("one");
  assert.ok(o !== undefined && cn !== undefined);
  const subjects = [
    [],
    [cn],
    [o],
    [o, o, cn],
    [o, cn, cn],
    [o, { ...o, value: "system:masters" }, cn],
    [{ ...o, value: "system:masters" }, cn],
    [o, cn, { oid: "2.5.4.11", value: "x" }],
    [o, { ...cn, value: "system:node:one " }],
    [o, { ...cn, value: "system:node:ONE" }],
    [o, { ...cn, value: "system:node:one\0" }],
  ];
  for (const subject of subjects) {
    const odd = await readCsr(await mintRequest(subject, keys));
    await assertRefused(() => checkNodeCsr(odd, "one", keys.spki), "refused/csr-subject", nameText(subject));
  }
});

/** A correctly signed request with changed parts. */
async function signedRequest(
  keys: KeyPair,
  change: (fields: Uint8Array[]) => readonly Uint8Array[],
): Promise<Uint8Array> {
  return await resigned(await createNodeCsr(keys, longName), keys, change);
}

Deno.test("readCsr() accepts an equal request when another program made it", async () => {
  const keys = await generateKeyPair("p-256");
  checkNodeCsr(await readCsr(await signedRequest(keys, (fields) => fields)), longName, keys.spki);
});

Deno.test("readCsr() refuses a request when it has an attribute, even if its signature is valid", async () => {
  const keys = await generateKeyPair("p-256");
  const attribute = element(0x30, Uint8Array.of(0x06, 3, 0x55, 4, 3), element(0x31, element(0x0c)));
  const withAttribute = await signedRequest(keys, (fields) => [...fields.slice(0, 3), element(0xa0, attribute)]);
  await assertRefused(() => readCsr(withAttribute), "refused/csr-attributes");
});

for (
  const [name, change] of [
    ["its version is 2", ([, ...rest]: Uint8Array[]) => [element(0x02, Uint8Array.of(1)), ...rest]],
    ["its attributes are left out", (fields: Uint8Array[]) => fields.slice(0, 3)],
    ["something follows its attributes", (fields: Uint8Array[]) => [...fields, element(0x05)]],
    [
      "its key is left out",
      ([version, subject, , attributes]: Uint8Array[]) =>
        [version, subject, attributes].filter((field) => field !== undefined),
    ],
  ] as const
) {
  Deno.test(`readCsr() refuses a request when ${name}`, async () => {
    const der = await signedRequest(await generateKeyPair("p-256"), change);
    await assertRefused(() => readCsr(der), "malformed/der");
  });
}

Deno.test("readCsr() refuses a request when another key signed it", async () => {
  const [keys, other] = [await generateKeyPair("p-256"), await generateKeyPair("p-256")];
  const der = await mintRequest(nodeSubject("one"), { ...keys, spki: other.spki });
  await assertRefused(() => readCsr(der), "refused/csr-signature");
});

Deno.test("readCsr() does not verify a request again when it is for exactly the proven key", async () => {
  const [keys, other] = [await generateKeyPair("p-256"), await generateKeyPair("p-256")];
  const der = await mintRequest(nodeSubject("one"), { ...other, spki: keys.spki });
  assert.deepEqual((await readCsr(der, keys.spki)).spki, keys.spki);
  await assertRefused(() => readCsr(der, other.spki), "refused/csr-signature");
});

Deno.test("readCsr() refuses a request when any bit is flipped", async () => {
  const keys = await generateKeyPair("p-256");
  for (const { flipped, at } of bitFlips(await createNodeCsr(keys, "one"))) {
    await assertRefused(() => readCsr(flipped), /^(malformed|refused)\//, at);
  }
});

Deno.test("readCsr() refuses a request when it is cut off, too long, or encoded a second way", async () => {
  const keys = await generateKeyPair("p-256");
  const der = await createNodeCsr(keys, longName);
  for (const [way, odd] of Object.entries(rewrapped(der))) {
    await assertRefused(() => readCsr(odd), "malformed/der", way);
  }
  for (let length = 0; length < der.length; length++) {
    await assertRefused(() => readCsr(der.subarray(0, length)), "malformed/der", `${length} bytes`);
  }
  await assertRefused(() => readCsr(new Uint8Array(4097)), "malformed/der");
});

Deno.test("readCsr() throws nothing but a BootstrapError when it reads any bytes", async () => {
  const der = await createNodeCsr(await generateKeyPair("p-256"), "one");
  await fc.assert(
    fc.asyncProperty(fc.nat(der.length - 1), fc.uint8Array({ maxLength: 12 }), async (at, octets) => {
      const changed = concat(der.subarray(0, at), octets, der.subarray(at + octets.length));
      await readCsr(changed).catch((error) => assert.ok(error instanceof BootstrapError, String(error)));
    }),
    { numRuns: 1000 },
  );
});
