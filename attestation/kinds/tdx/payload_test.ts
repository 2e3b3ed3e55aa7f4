import assert from "node:assert/strict";
import fc from "fast-check";
import { concat, copyOf } from "../../../platform/bytes.ts";
import { COLLATERAL_PARTS } from "./collateral.ts";
import { decodeTdxPayload, encodeTdxPayload } from "./payload.ts";
import { filled } from "./testing/tdx.ts";
import { errorOf } from "../../testing/evidence.ts";

const payload = { quote: filled(10, 1), collateral: { tcbInfo: filled(3, 2), rootCrl: filled(4, 3) } };

Deno.test("decodeTdxPayload() reads what encodeTdxPayload() writes, with parts left out", () => {
  const part = fc.uint8Array({ minLength: 1, maxLength: 50 }).map(copyOf);
  const collateral = fc.record(Object.fromEntries(COLLATERAL_PARTS.map((name) => [name, part])), { requiredKeys: [] });
  fc.assert(fc.property(part, collateral, (quote, parts) => {
    assert.deepEqual(decodeTdxPayload(encodeTdxPayload({ quote, collateral: parts })), {
      quote,
      collateral: { ...parts },
    });
  }));
});

Deno.test("decodeTdxPayload() refuses truncation, trailing bytes, other versions and long parts", async () => {
  const bytes = encodeTdxPayload(payload);
  for (let length = 0; length < bytes.length; length++) {
    assert.equal((await errorOf(() => decodeTdxPayload(bytes.subarray(0, length)))).code, "malformed/tdx-evidence");
  }
  const codeOf = async (changed: Uint8Array) => (await errorOf(() => decodeTdxPayload(changed))).code;
  assert.equal(await codeOf(concat(bytes, filled(1, 0))), "malformed/tdx-evidence");
  assert.equal(await codeOf(concat(Uint8Array.of(2), bytes.subarray(1))), "malformed/evidence-version");
  const long = encodeTdxPayload({ quote: filled((1 << 14) + 1, 0), collateral: {} });
  assert.equal(await codeOf(long), "malformed/tdx-evidence");
});
