import assert from "node:assert/strict";
import fc from "fast-check";
import type { Bytes } from "../../../platform/bytes.ts";
import { concat } from "../../../platform/bytes.ts";
import { BootstrapError } from "../../../platform/errors.ts";
import { CERTIFICATE_GUID, guidBytes, readCertificateTable } from "./certificate_table.ts";

const { vcek, ask } = CERTIFICATE_GUID;
const bad = { code: "malformed/snp-certificate-table" };

function entry(guid: string, offset: number, length: number): Bytes {
  const bytes = concat(guidBytes(guid), new Uint8Array(8));
  const view = new DataView(bytes.buffer);
  view.setUint32(16, offset, true);
  view.setUint32(20, length, true);
  return bytes;
}

const end = new Uint8Array(24);
const content = Uint8Array.of(1, 2, 3, 4, 5);

Deno.test("readCertificateTable() returns the content of each entry, and ignores padding", () => {
  const table = concat(entry(vcek, 72, 2), entry(ask, 74, 3), end, content, new Uint8Array(100));
  assert.deepEqual([...readCertificateTable(table)], [[vcek, Uint8Array.of(1, 2)], [ask, Uint8Array.of(3, 4, 5)]]);
});

Deno.test("readCertificateTable() accepts no bytes, and an empty table", () => {
  assert.equal(readCertificateTable(new Uint8Array()).size, 0);
  assert.equal(readCertificateTable(new Uint8Array(4096)).size, 0);
});

for (
  const [what, table] of [
    ["reaches into the table", concat(entry(vcek, 47, 1), end, content)],
    ["reaches out of the bytes", concat(entry(vcek, 48, 6), end, content)],
    ["begins after the end of the bytes", concat(entry(vcek, 54, 0), end, content)],
    ["has a length that overflows with its offset", concat(entry(vcek, 48, 0xffffffff), end, content)],
    ["comes twice", concat(entry(vcek, 72, 1), entry(vcek, 73, 1), end, content)],
    ["has no end", concat(entry(vcek, 48, 1), entry(ask, 48, 1))],
    [
      "is one of too many",
      concat(...Array.from({ length: 33 }, () => entry(vcek, 1000, 0)), end, new Uint8Array(1000)),
    ],
  ] as const
) {
  Deno.test(`readCertificateTable() refuses a table when an entry ${what}`, () => {
    assert.throws(() => readCertificateTable(table), bad);
  });
}

Deno.test("readCertificateTable() refuses truncated tables with its own error only", () => {
  const table = concat(entry(vcek, 48, 5), end, content);
  for (let length = 1; length < table.length; length++) {
    assert.throws(() => readCertificateTable(table.subarray(0, length)), bad);
  }
  fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
    try {
      for (const part of readCertificateTable(bytes).values()) assert.ok(part.length <= bytes.length);
    } catch (error) {
      assert.ok(error instanceof BootstrapError && error.code === bad.code, String(error));
    }
  }));
});
