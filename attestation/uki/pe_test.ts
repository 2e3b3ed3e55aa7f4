import assert from "node:assert/strict";
import fc from "fast-check";
import { concat, hex, sha256, utf8 } from "../../platform/bytes.ts";
import { BootstrapError } from "../../platform/errors.ts";
import { le } from "../eventlog/testing/event_logs.ts";
import { errorOf, flipped } from "../testing/evidence.ts";
import { imageHash } from "./authenticode.ts";
import { readPeImage } from "./pe.ts";
import { STUB_252, writePe, WRITTEN_PE } from "./testing/images.ts";

const sections = [{ name: ".text", content: utf8("code") }, { name: ".bss", content: new Uint8Array() }, STUB_252];
const whole = writePe(sections);

function patched(at: number, bytes: Uint8Array, image = whole): Uint8Array {
  return concat(image.subarray(0, at), bytes, image.subarray(at + bytes.length));
}

Deno.test("readPeImage() reads sections, and the positions that the hash leaves out", () => {
  const image = readPeImage(whole, "f");
  assert.deepEqual(image.sections.map(({ name, virtualSize, rawSize }) => [name, virtualSize, rawSize]), [
    [".text", 4, 0x200],
    [".bss", 0, 0],
    [".sdmagic", STUB_252.content.length, 0x200],
  ]);
  const { checksumOffset, certificateEntryOffset, headerBytes } = WRITTEN_PE;
  assert.deepEqual(
    [image.checksumOffset, image.certificateEntryOffset, image.headerBytes, image.certificateBytes],
    [checksumOffset, certificateEntryOffset, headerBytes, 0],
  );
});

Deno.test("imageHash() covers everything but the checksum, the certificate entry and the certificate table", async () => {
  const signed = writePe(sections, { tail: utf8("tail...."), certificates: new Uint8Array(16).fill(9) });
  const { checksumOffset: c, certificateEntryOffset: d } = WRITTEN_PE;
  const covered = [signed.subarray(0, c), signed.subarray(c + 4, d), signed.subarray(d + 8, signed.length - 16)];
  const expected = hex(await sha256(...covered));
  assert.equal(hex(imageHash(readPeImage(signed, "f"))), expected);
  const unsigned = writePe(sections, { tail: utf8("tail....") });
  assert.equal(hex(imageHash(readPeImage(unsigned, "f"))), expected);
  for (let index = 0; index < unsigned.length; index++) {
    const isLeftOut = (index >= c && index < c + 4) || (index >= d && index < d + 8);
    try {
      const changed = hex(imageHash(readPeImage(flipped(unsigned, index), "f")));
      assert.equal(changed === expected, isLeftOut, String(index));
    } catch (error) {
      assert.ok(error instanceof BootstrapError && error.code === "malformed/pe", String(error));
    }
  }
});

Deno.test("readPeImage() refuses malformed images", async () => {
  const { peOffset: pe, optionalOffset: optional, tableOffset: table, certificateEntryOffset: entry } = WRITTEN_PE;
  const cases: Readonly<Record<string, Uint8Array>> = {
    "no MZ": patched(0, utf8("ZM")),
    "a PE header inside the DOS header": patched(0x3c, le(8, 4)),
    "a PE header behind the end": patched(0x3c, le(0xfffffff0, 4)),
    "no PE": patched(pe, utf8("PX")),
    "another machine": patched(pe + 4, le(0x14c, 2)),
    "no sections": patched(pe + 6, le(0, 2)),
    "too many sections": patched(pe + 6, le(4097, 2)),
    "a short optional header": patched(pe + 20, le(100, 2)),
    "PE32": patched(optional, le(0x10b, 2)),
    "too many directories": patched(optional + 108, le(17, 4)),
    "headers shorter than the section table": patched(optional + 60, le(0x180, 4)),
    "headers longer than the file": patched(optional + 60, le(0x7fffffff, 4)),
    "headers that overlap a section": patched(optional + 60, le(0x401, 4)),
    "a section without a name": patched(table, new Uint8Array(8)),
    "a name with bytes after its NUL": patched(table, utf8(".t\0xt\0\0\0")),
    "a section behind the end": patched(table + 20, le(0xffffff00, 4)),
    "a section longer than the file": patched(table + 16, le(0xffffffff, 4)),
    "sections that overlap in the file": patched(table + 80 + 20, le(0x400, 4)),
    "a certificate table elsewhere": patched(entry, concat(le(0x400, 4), le(8, 4))),
    "a certificate table over a section": patched(entry, concat(le(0x500, 4), le(whole.length - 0x500, 4))),
  };
  for (const [name, bytes] of Object.entries(cases)) {
    assert.equal((await errorOf(() => readPeImage(bytes, "f"))).code, "malformed/pe", name);
  }
  for (let length = 0; length < whole.length; length++) {
    assert.equal((await errorOf(() => readPeImage(whole.subarray(0, length), "f"))).code, "malformed/pe");
  }
});

Deno.test("readPeImage() and imageHash() throw only malformed/pe, whatever the bytes", () => {
  const changed = fc.array(fc.tuple(fc.nat({ max: WRITTEN_PE.headerBytes - 1 }), fc.nat({ max: 255 })), {
    maxLength: 6,
  })
    .map((edits) => edits.reduce((bytes: Uint8Array, [at, value]) => bytes.with(at, value), whole));
  fc.assert(
    fc.property(fc.oneof(changed, fc.uint8Array({ maxLength: 600 })), (bytes) => {
      try {
        assert.equal(imageHash(readPeImage(bytes, "f")).length, 32);
      } catch (error) {
        assert.ok(error instanceof BootstrapError && error.code === "malformed/pe", String(error));
      }
    }),
    { numRuns: 500 },
  );
});
