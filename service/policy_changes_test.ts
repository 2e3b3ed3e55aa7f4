import assert from "node:assert/strict";
import { policyChanges } from "./policy_changes.ts";

Deno.test("policyChanges() names the keys that differ, are new, or are gone", () => {
  const before = 'version: 1\ntpm: {pcrs: {"4": [aa], "11": [bb]}, ekType: rsa2048}\nroles: {controlPlanes: [a]}\n';
  const after = 'version: 1\ntpm: {pcrs: {"4": [aa, cc], "7": [dd]}, ekType: rsa2048}\nroles: {controlPlanes: [a]}\n';
  assert.deepEqual(policyChanges(before, after), ['tpm.pcrs["4"]', 'tpm.pcrs["11"]', 'tpm.pcrs["7"]']);
  assert.deepEqual(policyChanges("version: 1\n", "version: 1\nroles: {}\n"), ["roles"]);
});

Deno.test("policyChanges() returns nothing when documents differ only in form", () => {
  assert.deepEqual(policyChanges("version: 1\nvariant: none\n", '{"variant": "none", "version": 1} # JSON\n'), []);
});

Deno.test("policyChanges() names at most twenty keys", () => {
  const after = JSON.stringify(Object.fromEntries(Array.from({ length: 50 }, (_, index) => [`key${index}`, 1])));
  const changes = policyChanges("{}", after);
  assert.equal(changes.length, 21);
  assert.deepEqual([changes[0], changes[20]], ["key0", "and 30 more"]);
});
