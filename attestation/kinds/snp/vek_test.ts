import assert from "node:assert/strict";
import fc from "fast-check";
import { fromHex, hex, utf8 } from "../../../platform/bytes.ts";
import { BootstrapError } from "../../../platform/errors.ts";
import { readCertificate } from "../../../certificate/x509.ts";
import { chipIdOf, createSoftwareAmd, der, type VekLies } from "./testing/snp.ts";
import { readVekExtensions } from "./vek.ts";

const milan = await createSoftwareAmd("milan");
const turin = await createSoftwareAmd("turin");
const cloud = await createSoftwareAmd("milan", "vlek");
const chip = chipIdOf("milan");

async function read(lies: VekLies, from = milan, kind: "vcek" | "vlek" = "vcek", product: "milan" | "turin" = "milan") {
  return readVekExtensions(readCertificate(await from.vek(lies), "certificate", "vendor"), kind, product);
}

Deno.test("readVekExtensions() reads the chip in both encodings", async () => {
  assert.equal(hex((await read({})).hardwareId ?? chip.subarray(1)), hex(chip));
  assert.equal(hex((await read({ extensions: { "04": der(0x04, chip) } })).hardwareId ?? chip.subarray(1)), hex(chip));
  const eight = chipIdOf("turin").slice(0, 8);
  for (const value of [eight, der(0x04, eight)]) {
    const { hardwareId, tcb } = await read({ extensions: { "04": value } }, turin, "vcek", "turin");
    assert.equal(hex(hardwareId ?? chip), hex(eight));
    assert.deepEqual(tcb, { fmc: 1, bootloader: 3, tee: 2, snp: 8, microcode: 115 });
  }
});

Deno.test("readVekExtensions() reads a cloud's name", async () => {
  const { providerId, hardwareId } = await read({}, cloud, "vlek");
  assert.deepEqual([providerId, hardwareId], ["a-cloud", undefined]);
});

/** Malformed extensions, by AMD's arcs. */
const MALFORMED: readonly [what: string, arcs: string, value: Uint8Array | undefined][] = [
  ["the structure's version is missing", "01", undefined],
  ["the product is missing", "02", undefined],
  ["the product is a UTF8String", "02", der(0x0c, utf8("Milan-B0"))],
  ["the product is empty", "02", der(0x16)],
  ["its chip has 63 bytes", "04", chip.subarray(1)],
  ["its chip is an OCTET STRING of 63 bytes", "04", der(0x04, chip.subarray(1))],
  ["its chip has 8 bytes", "04", der(0x04, chip.subarray(56))],
  ["its chip is empty", "04", new Uint8Array(0)],
  ["a part is missing", "0308", undefined],
  ["a part is above 255", "0308", fromHex("02020100", "integer")],
  ["a part is negative", "0308", fromHex("0201ff", "integer")],
  ["a part is padded", "0308", fromHex("02020001", "integer")],
  ["something follows a part", "0308", fromHex("02010100", "integer")],
  ["a part is no INTEGER", "0308", fromHex("040173", "octets")],
  ["a part is empty", "0308", new Uint8Array(0)],
];

for (const [what, arcs, value] of MALFORMED) {
  Deno.test(`readVekExtensions() refuses a certificate when ${what}`, async () => {
    await assert.rejects(read({ extensions: { [arcs]: value } }), { code: "malformed/der" });
  });
}

Deno.test("readVekExtensions() refuses a certificate of the other kind or line", async () => {
  await assert.rejects(read({}, milan, "vlek"), { code: "malformed/der" });
  await assert.rejects(read({}, cloud, "vcek"), { code: "malformed/der" });
  await assert.rejects(read({}, turin, "vcek", "milan"), { code: "malformed/der" });
  await assert.rejects(read({}, milan, "vcek", "turin"), { code: "malformed/der" });
});

Deno.test("readVekExtensions() throws only its own errors", async () => {
  const certificate = readCertificate(await milan.vek(), "certificate", "vendor");
  fc.assert(fc.property(fc.nat(certificate.extensions.length - 1), fc.uint8Array({ maxLength: 70 }), (index, value) => {
    const extensions = certificate.extensions.map((one, at) =>
      at === index ? { ...one, value: new Uint8Array(value) } : one
    );
    try {
      readVekExtensions({ ...certificate, extensions }, "vcek", "milan");
    } catch (error) {
      assert.ok(error instanceof BootstrapError && error.code.startsWith("malformed/"), String(error));
    }
  }));
});
