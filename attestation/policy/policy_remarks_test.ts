import assert from "node:assert/strict";
import { readPolicy } from "./policy.ts";
import { policyRemarks } from "./policy_remarks.ts";

const tcb = "{ bootloader: 1, tee: 0, snp: 1, microcode: 1 }";
const rules = `{ minimumTcb: ${tcb}, minimumLaunchTcb: ${tcb} }`;
const bound = 'names: { default: ["worker-*"] }';
const remarksOf = (...lines: readonly string[]) => policyRemarks(readPolicy(`version: 1\n${lines.join("\n")}\n`, "it"));
const snp = (products: string, more = "") =>
  `variant: snp\nsnp: { products: { ${products} }, measurements: ["${"a".repeat(96)}"]${more} }`;
const chips = `, chipIds: ["${"c".repeat(128)}"]`;

Deno.test("policyRemarks() is silent about a policy that binds names and has no switch", () => {
  assert.deepEqual(remarksOf("variant: none", bound), []);
  assert.deepEqual(remarksOf(snp(`genoa: ${rules}`, chips), bound), []);
});

Deno.test("policyRemarks() is silent about names where each identity has its own, and no authority certifies others", () => {
  const [one, two] = ["1".repeat(64), "2".repeat(64)];
  const tpm = (trust: string) => `variant: tpm\ntpm: { ekType: rsa2048, pcrs: { 4: ["${one}"] }, trust: { ${trust} } }`;
  const both = tpm(`identities: ["${one}", "${two}"]`);
  assert.deepEqual(remarksOf(both, `names: { byIdentity: { "${one}": [a], "${two}": [b] } }`), []);
  assert.match(remarksOf(both, `names: { byIdentity: { "${one}": [a] } }`).join(), /^UNBOUND NAMES: /);
});

for (const name of ["policy", "policy-snp", "policy-tdx"]) {
  Deno.test(`policyRemarks() says of the example ${name} nothing but what its kind cannot avoid`, async () => {
    const url = new URL(`../../deploy/${name}.example.yaml`, import.meta.url);
    assert.deepEqual(policyRemarks(readPolicy(await Deno.readTextFile(url), name)), []);
  });
}

Deno.test("policyRemarks() names what a policy leaves open: images, names, chips that give away their keys, any chip", () => {
  assert.match(remarksOf("variant: none", bound, "allowUnmeasuredImage: true").join(), /^UNMEASURED: /);
  assert.match(remarksOf("variant: none").join(), /^UNBOUND NAMES: names\.default is "\*"/);
  assert.match(remarksOf("variant: none", 'names: { default: ["a", "*"] }').join(), /^UNBOUND NAMES: /);
  assert.match(remarksOf(snp(`genoa: ${rules}, milan: ${rules}`, chips), bound).join(), /^MILAN: /);
  assert.match(remarksOf(snp(`genoa: ${rules}`), bound).join(), /^ANY CHIP: /);
});
