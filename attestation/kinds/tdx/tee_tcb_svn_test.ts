import assert from "node:assert/strict";
import fc from "fast-check";
import { fromHex, hex } from "../../../platform/bytes.ts";
import { lowestTeeTcbSvn, reachesMinimum } from "./tee_tcb_svn.ts";

const svns = fc.uint8Array({ minLength: 16, maxLength: 16 });

Deno.test("lowestTeeTcbSvn() is reached by all inputs, but no value with a higher part is", () => {
  fc.assert(fc.property(svns, fc.array(svns, { maxLength: 3 }), fc.nat(15), (first, others, part) => {
    const lowest = lowestTeeTcbSvn(first, ...others);
    const all = [first, ...others];
    assert.ok(all.every((one) => reachesMinimum(one, lowest)));
    if (lowest[part] === 0xff) return;
    const higher = lowest.with(part, (lowest[part] ?? 0) + 1);
    assert.ok(!all.every((one) => reachesMinimum(one, higher)));
  }));
});

Deno.test("lowestTeeTcbSvn() compares the module's version before its SVN", () => {
  const [old, recent] = ["09010300", "02020200"].map((start) => fromHex(`${start}${"00".repeat(12)}`, "SVNs"));
  assert.ok(old !== undefined && recent !== undefined);
  assert.equal(hex(lowestTeeTcbSvn(old, recent)), `09010200${"00".repeat(12)}`);
});
