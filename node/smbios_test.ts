import assert from "node:assert/strict";
import fc from "fast-check";
import { concat, fromUtf8, hex } from "../platform/bytes.ts";
import { BootstrapError } from "../platform/errors.ts";
import { MAXIMUM_SMBIOS_BYTES, readOemStrings } from "./smbios.ts";
import { writeSmbios, writeStructure } from "./testing/smbios.ts";

const END = writeStructure({ type: 127 });
const text = (table: Uint8Array) => readOemStrings(table).map((string) => fromUtf8(string, "string"));

Deno.test("readOemStrings() returns the strings of all structures of type 11 in order, and of no other type", () => {
  assert.deepEqual(text(writeSmbios("one", "two")), ["one", "two"]);
  const more = concat(
    writeStructure({ type: 11, area: Uint8Array.of(1), strings: ["one"] }),
    writeStructure({ type: 1, area: new Uint8Array(23), strings: ["no"] }),
    writeStructure({ type: 11, area: Uint8Array.of(200), strings: ["two", "three"] }),
    writeStructure({ type: 11 }),
  );
  assert.deepEqual(text(concat(more, END)), ["one", "two", "three"]);
  // Older tables have no structure that ends them.
  assert.deepEqual(text(more), ["one", "two", "three"]);
  assert.deepEqual(text(concat(END, more)), []);
  assert.deepEqual(text(new Uint8Array()), []);
});

Deno.test("readOemStrings() returns what was written, whatever it is", () => {
  const string = fc.uint8Array({ minLength: 1, maxLength: 40, min: 1 });
  const structure = fc.record({
    type: fc.integer({ min: 0, max: 126 }),
    area: fc.uint8Array({ maxLength: 251 }),
    strings: fc.array(string, { maxLength: 4 }),
  });
  fc.assert(fc.property(fc.array(structure, { maxLength: 6 }), fc.uint8Array({ maxLength: 20 }), (structures, rest) => {
    const wanted = structures.filter(({ type }) => type === 11).flatMap(({ strings }) => strings.map(hex));
    const table = concat(...structures.map(writeStructure), END, rest);
    assert.deepEqual(readOemStrings(table).map(hex), wanted);
  }));
});

Deno.test("readOemStrings() refuses tables whose lengths do not fit, and names the place", () => {
  const cases: readonly (readonly [Uint8Array, RegExp])[] = [
    [Uint8Array.of(11), /"length" at offset 1/],
    [Uint8Array.of(11, 3, 0, 0, 0, 0), /length of 3, below 4/],
    [Uint8Array.of(11, 9, 0, 0, 0), /"formatted area" at offset 2/],
    [Uint8Array.of(11, 5, 0, 0, 1, 65, 66), /string at offset 5 has no end/],
    [Uint8Array.of(11, 5, 0, 0, 1, 65, 0), /string at offset 7 has no end/],
    [Uint8Array.of(11, 5, 0, 0, 1, 0), /"end of a set of strings" at offset 6/],
    [Uint8Array.of(11, 5, 0, 0, 1, 0, 7), /"end of a set of strings" at offset 6 must be 1 zeros/],
    [new Uint8Array(MAXIMUM_SMBIOS_BYTES + 1), /at most 1048576 are read/],
  ];
  for (const [table, message] of cases) {
    assert.throws(() => readOemStrings(table), { code: "malformed/smbios", message }, hex(table.subarray(0, 8)));
  }
});

Deno.test("readOemStrings() reads or refuses every table with a changed byte or a cut, and never more than it has", () => {
  const table = writeSmbios("io.systemd.credential:bootstrapper.config=version: 1", "other");
  const read = (bytes: Uint8Array) => {
    try {
      for (const string of readOemStrings(bytes)) assert.ok(string.length < bytes.length && !string.includes(0));
    } catch (error) {
      assert.ok(error instanceof BootstrapError && error.code === "malformed/smbios", String(error));
    }
  };
  for (let at = 0; at < table.length; at++) {
    read(table.subarray(0, at));
    for (const mask of [1, 0x80, 0xff]) read(table.with(at, (table[at] ?? 0) ^ mask));
  }
  fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), read));
});
