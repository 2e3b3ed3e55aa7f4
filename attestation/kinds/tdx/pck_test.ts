import assert from "node:assert/strict";
import fc from "fast-check";
import { readCertificate } from "../../../certificate/x509.ts";
import { concat } from "../../../platform/bytes.ts";
import { readPckPlatform, SGX_EXTENSION } from "./pck.ts";
import { filled } from "./testing/tdx.ts";
import { errorOf, flipped } from "../../testing/evidence.ts";
import { element, integer, oid, sgxPart, sgxParts } from "./testing/der.ts";
import { createSoftwareIntel } from "./testing/intel.ts";

const intel = createSoftwareIntel();
const platform = {
  fmspc: "00a067110000",
  components: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 128, 255, 0],
  pceSvn: 300,
};
const parts = sgxParts(platform);

function read(value: Uint8Array) {
  const extension = element(0x30, oid(SGX_EXTENSION), element(0x04, value));
  return readPckPlatform(readCertificate(intel.certificate("pck", { extensions: [extension] }), "test"));
}

Deno.test("readPckPlatform() reads the certificates of both of Intel's authorities", () => {
  const expected = { ppid: "11".repeat(16), pceId: "0000", ...platform };
  assert.deepEqual({ ...read(element(0x30, ...parts)) }, expected);
  assert.deepEqual({ ...read(element(0x30, ...parts.slice(0, 5))) }, expected);
});

Deno.test("readPckPlatform() refuses parts that are missing, doubled, out of order, or of another form", async () => {
  const [ppid, tcb, pceId, fmspc, type, instance, configuration] = parts.map((part) => [part] as const);
  assert.ok(ppid && tcb && pceId && fmspc && type && instance && configuration);
  const start = [...ppid, ...tcb, ...pceId, ...fmspc];
  const otherTcb = (
    ...values: readonly Uint8Array[]
  ) => [...ppid, sgxPart("2", element(0x30, ...values)), ...parts.slice(2)];
  const svns = platform.components.map((svn, i) => sgxPart(`2.${i + 1}`, integer(svn)));
  const [pceSvn, cpuSvn] = [sgxPart("2.17", integer(5)), sgxPart("2.18", element(0x04, filled(16, 0)))];
  const expected = read(element(0x30, ...parts));
  const more: Readonly<Record<string, readonly Uint8Array[]>> = {
    "a type above 2": [...start, sgxPart("5", element(0x0a, Uint8Array.of(3)))],
    "one more part": [...parts, sgxPart("8", integer(1))],
    "an instance without configuration": [...start, ...type, ...instance],
    "a configuration without instance": [...start, ...type, ...configuration],
  };
  for (const [name, list] of Object.entries(more)) assert.deepEqual(read(element(0x30, ...list)), expected, name);
  const wrong: Readonly<Record<string, readonly Uint8Array[]>> = {
    nothing: [],
    "no type": start,
    "a part twice": [...start, ...fmspc, ...type],
    "another order": [...tcb, ...ppid, ...parts.slice(2)],
    "a short PPID": [sgxPart("1", element(0x04, filled(15, 0))), ...parts.slice(1)],
    "an integer for a PPID": [sgxPart("1", integer(1)), ...parts.slice(1)],
    "a long FMSPC": [...ppid, ...tcb, ...pceId, sgxPart("4", element(0x04, filled(7, 0))), ...type],
    "a type of another form": [...start, sgxPart("5", integer(1))],
    "15 components": otherTcb(...svns.slice(0, 15), pceSvn, cpuSvn),
    "a component of 256": otherTcb(sgxPart("2.1", integer(256)), ...svns.slice(1), pceSvn, cpuSvn),
    "a negative component": otherTcb(
      sgxPart("2.1", element(0x02, Uint8Array.of(0x80))),
      ...svns.slice(1),
      pceSvn,
      cpuSvn,
    ),
    "a component twice": otherTcb(...svns.slice(0, 15), ...svns.slice(14, 15), pceSvn, cpuSvn),
    "no CPUSVN": otherTcb(...svns, pceSvn),
    "a part with two values": [
      element(0x30, oid(`${SGX_EXTENSION}.1`), element(0x04, filled(16, 0)), integer(1)),
      ...parts.slice(1),
    ],
  };
  for (const [name, list] of Object.entries(wrong)) {
    assert.equal((await errorOf(() => read(element(0x30, ...list)))).code, "malformed/der", name);
  }
  const trailing = await errorOf(() => read(concat(element(0x30, ...parts), filled(1, 0))));
  assert.equal(trailing.code, "malformed/der");
  const without = readCertificate(intel.certificate("pck", { extensions: [] }), "test");
  assert.equal((await errorOf(() => readPckPlatform(without))).code, "malformed/der");
});

Deno.test("readPckPlatform() throws only malformed/… when any byte is changed", () => {
  const whole = element(0x30, ...parts);
  const spot = fc.tuple(fc.nat({ max: whole.length - 1 }), fc.integer({ min: 1, max: 255 }));
  fc.assert(fc.property(spot, ([at, mask]) => {
    try {
      read(flipped(whole, at, mask));
    } catch (error) {
      assert.match(String((error as { code?: string }).code), /^malformed\//);
    }
  }));
});
