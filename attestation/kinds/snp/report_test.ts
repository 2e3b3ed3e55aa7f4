import assert from "node:assert/strict";
import fc from "fast-check";
import { concat, hex } from "../../../platform/bytes.ts";
import { BootstrapError } from "../../../platform/errors.ts";
import { readReport, REPORT_BYTES } from "./report.ts";

/** A minimal valid report with some fields replaced. */
function reportWith(fields: Readonly<Record<number, readonly number[]>>): Uint8Array {
  const bytes = new Uint8Array(REPORT_BYTES);
  const all: Record<number, readonly number[]> = { 0: [2], 0x08: [0, 0, 2], 0x34: [1], ...fields };
  for (const [offset, value] of Object.entries(all)) bytes.set(value, Number(offset));
  return bytes;
}

function codeOf(bytes: Uint8Array): string {
  try {
    readReport(bytes);
    return "";
  } catch (error) {
    assert.ok(error instanceof BootstrapError, String(error));
    return error.code;
  }
}

/** The reserved fields of each version (AMD 56860, ATTESTATION_REPORT), ends excluded. */
const RESERVED: Readonly<Record<number, readonly [start: number, end: number][]>> = {
  2: [[0x4c, 0x50], [0x188, 0x1a0], [0x1eb, 0x1ec], [0x1ef, 0x1f0], [0x1f8, 0x2a0]],
  3: [[0x4c, 0x50], [0x18b, 0x1a0], [0x1eb, 0x1ec], [0x1ef, 0x1f0], [0x1f8, 0x2a0]],
  4: [[0x4c, 0x50], [0x18b, 0x1a0], [0x1eb, 0x1ec], [0x1ef, 0x1f0], [0x1f8, 0x2a0]],
  5: [[0x4c, 0x50], [0x18b, 0x1a0], [0x1eb, 0x1ec], [0x1ef, 0x1f0], [0x208, 0x2a0]],
};
/** The padding above the 48 bytes of each of r and s, and after them. */
const SIGNATURE_PADDING: readonly [number, number][] = [[0x2d0, 0x2e8], [0x318, 0x330], [0x330, REPORT_BYTES]];
/** Fields in which only some values are valid. */
const RESTRICTED: readonly [number, number][] = [[0x00, 0x04], [0x08, 0x10], [0x34, 0x38], [0x40, 0x4c]];

Deno.test("readReport() shows each reserved byte that is signed and not zero, and refuses those behind the signature", () => {
  for (const [version, reserved] of Object.entries(RESERVED)) {
    for (let offset = 0; offset < REPORT_BYTES; offset++) {
      const isIn = (ranges: readonly (readonly [number, number])[]) =>
        ranges.some(([start, end]) => offset >= start && offset < end);
      if (isIn(RESTRICTED)) continue;
      const bytes = reportWith({ 0: [Number(version)], [offset]: [0x80] });
      const where = `version ${version}, byte ${offset.toString(16)}`;
      assert.equal(codeOf(bytes), isIn(SIGNATURE_PADDING) ? "malformed/snp-report" : "", where);
      if (isIn(SIGNATURE_PADDING)) continue;
      const shown = isIn(reserved) ? [`byte 80 at 0x${offset.toString(16)}`] : [];
      assert.deepEqual(readReport(bytes).unnamed, shown, where);
    }
  }
});

Deno.test("readReport() reads fields as little-endian, and returns the signature as big-endian", () => {
  const report = readReport(
    reportWith({ 0: [5], 0x04: [1, 2], 0x30: [0, 1], 0x188: [0x19, 0x11, 1], 0x2a0: [1, 2], 0x2e8: [3] }),
  );
  assert.deepEqual([report.version, report.guestSvn, report.vmpl], [5, 0x201, 0x100]);
  assert.deepEqual(report.processor, { family: 0x19, model: 0x11, stepping: 1 });
  assert.equal(hex(report.signature), `${"00".repeat(46)}0201${"00".repeat(47)}03`);
  assert.equal(readReport(reportWith({})).processor, undefined);
});

Deno.test("readReport() refuses other versions, algorithms and signing keys", () => {
  for (let version = 0; version < 256; version++) {
    const expected = version < 2 ? "malformed/snp-report" : version > 5 ? "refused/snp-report-version" : "";
    assert.equal(codeOf(reportWith({ 0: [version] })), expected);
  }
  assert.equal(codeOf(reportWith({ 0: [2, 1] })), "refused/snp-report-version");
  for (const algorithm of [0, 2, 255]) {
    assert.equal(codeOf(reportWith({ 0x34: [algorithm] })), "refused/snp-signature-algorithm");
  }
  for (let key = 0; key < 8; key++) {
    const isKnown = [0, 1, 7].includes(key);
    assert.equal(codeOf(reportWith({ 0x48: [key << 2] })), isKnown ? "" : "refused/snp-signing-key");
  }
  assert.deepEqual(readReport(reportWith({ 0x48: [0x20, 0, 0, 0x80] })).unnamed, ["KEY_INFO bit 5", "KEY_INFO bit 31"]);
});

Deno.test("readReport() says of a later version what it knows and what has no name, and what helps", () => {
  assert.throws(
    () => readReport(reportWith({ 0: [6], 0x08: [0, 0, 3, 4], 0x40: [0x25, 1], 0x208: [1] })),
    (error: BootstrapError) => {
      assert.equal(error.code, "refused/snp-report-version");
      assert.match(error.message, /version 6.*up to version 5.*guest policy bit 26, platform info bit 8/);
      assert.match(error.next, /newer version/);
      return true;
    },
  );
});

Deno.test("readReport() shows bits of guest policy and platform info that have no name", () => {
  for (let bit = 0; bit < 64; bit++) {
    const at = (offset: number) => ({ [offset + (bit >> 3)]: [1 << bit % 8] });
    const policy = concat(Uint8Array.of(0, 0, 2), new Uint8Array(5));
    policy[bit >> 3] = (policy[bit >> 3] ?? 0) | 1 << bit % 8;
    const ofPolicy = bit <= 25 ? [] : [`guest policy bit ${bit}`];
    assert.deepEqual(readReport(reportWith({ 0x08: [...policy] })).unnamed, ofPolicy);
    const isKnown = bit <= 5 || bit === 7;
    assert.deepEqual(readReport(reportWith(at(0x40))).unnamed, isKnown ? [] : [`platform info bit ${bit}`]);
  }
  assert.equal(codeOf(reportWith({ 0x08: [0, 0, 0] })), "malformed/snp-report");
});

Deno.test("readReport() refuses any other length, and throws only its own errors", () => {
  for (let length = 0; length < REPORT_BYTES + 8; length++) {
    if (length === REPORT_BYTES) continue;
    assert.equal(codeOf(new Uint8Array(length)), "malformed/snp-report");
  }
  fc.assert(fc.property(fc.uint8Array({ minLength: REPORT_BYTES, maxLength: REPORT_BYTES }), (bytes) => {
    assert.match(codeOf(bytes), /^(?:malformed\/snp-report|refused\/snp-report-version)$/);
    assert.match(
      codeOf(bytes.map((byte, offset) => offset < 4 ? (offset === 0 ? 3 : 0) : byte)),
      /^(?:malformed|refused)\//,
    );
  }));
});
