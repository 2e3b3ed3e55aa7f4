import assert from "node:assert/strict";
import fc from "fast-check";
import { compareVersions, findVersion, readVersion } from "./version.ts";

Deno.test("readVersion() reads releases, candidates and vendors' versions, and names what is none", () => {
  assert.deepEqual(readVersion("v1.36.3"), { minor: 36, patch: 3 });
  for (const text of ["v1.37.0-rc.1", "v1.36.3+k3s1", "v1.36.3-eks-1a2b3c"]) assert.ok(findVersion(text) !== undefined);
  for (const text of ["", "v1", "1.36.3", "v2.0.0", "v1.36.3\n", "v1.36", "v1.3600.1", "v1.36.3-"]) {
    assert.throws(() => readVersion(text), { code: "malformed/kubernetes-version", retriable: false }, text);
  }
});

Deno.test("findVersion() takes any text, and finds in a version what was written into it", () => {
  fc.assert(fc.property(fc.string(), (text) => {
    const found = findVersion(text);
    assert.ok(found === undefined || text.startsWith("v1."));
  }));
  const number = fc.integer({ min: 0, max: 999 });
  fc.assert(fc.property(number, number, (minor, patch) => {
    assert.deepEqual(findVersion(`v1.${minor}.${patch}`), { minor, patch });
  }));
});

Deno.test("compareVersions() orders by the minor, and then by the patch, as numbers", () => {
  const sorted = ["v1.9.11", "v1.36.3", "v1.36.10", "v1.37.0"];
  for (const [index, one] of sorted.entries()) {
    for (const [other, text] of sorted.entries()) {
      const order = compareVersions(readVersion(one), readVersion(text));
      assert.equal(Math.sign(order), Math.sign(index - other), `${one} ${text}`);
    }
  }
});
