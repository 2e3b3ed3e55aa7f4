import assert from "node:assert/strict";
import fc from "fast-check";
import { concat, copyOf, equalBytes } from "../../../platform/bytes.ts";
import { MAXIMUM_QUOTE_BYTES, MAXIMUM_TRAILING_BYTES, readQuote } from "./quote.ts";
import { filled } from "./testing/tdx.ts";
import { errorOf } from "../../testing/evidence.ts";
import { createSoftwareIntel, type QuoteLies } from "./testing/intel.ts";

const intel = createSoftwareIntel();
const FORMS = ["4", "5-10", "5-15"] as const;

Deno.test("readQuote() reads every field of a quote of every form", async () => {
  for (const form of FORMS) {
    const [mrtd, mrConfigId, reportData] = [filled(48, 1), filled(48, 2), filled(64, 3)];
    const rtmrs = [filled(48, 4), filled(48, 5), filled(48, 6), filled(48, 7)];
    const lies = { form, mrtd, mrConfigId, reportData, rtmrs, tdAttributes: 0x8000000010000000n, xfam: 0x602e7n };
    const bytes = await intel.quote({ ...lies, qeProduct: 0x1234, qeSvn: 0x5678 });
    const quote = readQuote(bytes);
    assert.deepEqual(quote.bytes, bytes);
    assert.equal(quote.trailing, 0);
    assert.equal(quote.version, Number(form.slice(0, 1)));
    assert.equal(quote.signed.length, { "4": 632, "5-10": 638, "5-15": 702 }[form]);
    assert.deepEqual([quote.report.mrtd, quote.report.mrConfigId, quote.report.reportData], [
      mrtd,
      mrConfigId,
      reportData,
    ]);
    assert.deepEqual([...quote.report.rtmrs], rtmrs);
    assert.deepEqual([quote.report.tdAttributes, quote.report.xfam], [lies.tdAttributes, lies.xfam]);
    assert.deepEqual([quote.qeReport.isvProdId, quote.qeReport.isvSvn], [0x1234, 0x5678]);
    assert.deepEqual(quote.attestationKey, intel.keys.attestation.point);
    assert.equal(quote.report.current !== undefined, form === "5-15");
  }
});

Deno.test("readQuote() leaves out the bytes after a quote, up to a bound", async () => {
  const quote = await intel.quote();
  for (const length of [1, 39, 70, MAXIMUM_TRAILING_BYTES]) {
    const read = readQuote(concat(quote, filled(length, 0xee)));
    assert.equal(read.trailing, length);
    assert.ok(equalBytes(read.bytes, quote));
  }
  const long = await errorOf(() => readQuote(concat(quote, filled(MAXIMUM_TRAILING_BYTES + 1, 0))));
  assert.equal(long.code, "malformed/tdx-quote");
  const huge = await errorOf(() => readQuote(filled(MAXIMUM_QUOTE_BYTES + 1, 0)));
  assert.match(huge.message, /longer/);
});

Deno.test("readQuote() refuses every truncation", async () => {
  for (const form of FORMS) {
    const quote = await intel.quote({ form });
    for (let length = 0; length < quote.length; length++) {
      assert.equal((await errorOf(() => readQuote(quote.subarray(0, length)))).code, "malformed/tdx-quote");
    }
  }
});

Deno.test("readQuote() refuses other versions, key types, TEEs and vendors", async () => {
  const lies: readonly QuoteLies[] = [
    { version: 3 },
    { version: 6 },
    { keyType: 3 },
    { tee: 0 },
    { vendor: filled(16, 1) },
    // The body of one version with the number of the other.
    { form: "5-10", version: 4 },
    { form: "5-15", version: 4 },
    { form: "4", version: 5 },
  ];
  for (const lie of lies) {
    const bytes = await intel.quote(lie);
    assert.equal((await errorOf(() => readQuote(bytes))).code, "malformed/tdx-quote", JSON.stringify(lie));
  }
});

Deno.test("readQuote() refuses any length that is wrong by one", async () => {
  const quote = await intel.quote();
  // The lengths of the authentication data, the certification data, the QE's data and the PCK chain; and the two types.
  for (const at of [632, 766, 1218, 1254, 764, 1252]) {
    for (const by of [-1, 1]) {
      const changed = copyOf(quote);
      changed[at] = (changed[at] ?? 0) + by;
      assert.equal((await errorOf(() => readQuote(changed))).code, "malformed/tdx-quote", `${at} ${by}`);
    }
  }
});

Deno.test("readQuote() throws only malformed/tdx-quote when it reads any bytes", async () => {
  const quote = await intel.quote();
  const check = (bytes: Uint8Array) => {
    try {
      readQuote(bytes);
    } catch (error) {
      assert.equal((error as { code?: string }).code, "malformed/tdx-quote", String(error));
    }
  };
  fc.assert(fc.property(fc.uint8Array({ maxLength: 2000 }), check));
  const spot = fc.tuple(fc.nat({ max: quote.length - 1 }), fc.nat({ max: 255 }));
  fc.assert(
    fc.property(fc.array(spot, { minLength: 1, maxLength: 4 }), (spots) => {
      const changed = copyOf(quote);
      for (const [at, value] of spots) changed[at] = value;
      check(changed);
    }),
    { numRuns: 1000 },
  );
});
