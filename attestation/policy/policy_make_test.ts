import { requiredNames, tpmOf } from "../testing/sections.ts";
import assert from "node:assert/strict";
import { hex } from "../../platform/bytes.ts";
import { NO_COLLATERAL } from "../collateral.ts";
import { issueEvidenceFile } from "../evidence_file.ts";
import { explainEvidence } from "../explain/explain.ts";
import { readPolicy } from "./policy.ts";
import type { FileSources, MakeContext } from "./policy_make.ts";
import { makePolicy } from "./policy_make.ts";
import { createSoftwareMachine, filled, type SoftwareMachine } from "../kinds/tpm/testing/tpm.ts";
import { errorOf, flipped } from "../testing/evidence.ts";
import { ukiRegisters } from "../uki/measurements.ts";
import { kernelSection, STUB_252, writePe } from "../uki/testing/images.ts";

const [a, b, p384] = [
  await createSoftwareMachine(),
  await createSoftwareMachine(),
  await createSoftwareMachine("ecc-p384"),
];
const now = () => new Date("2030-01-01");
const context: MakeContext = { collateral: NO_COLLATERAL, now };
const nothing: FileSources = {
  ...{ files: [], images: [], identities: [], controlPlanes: [], withoutPcrs: [] },
  ekType: "rsa2048",
};
const pcrs = (changes: Readonly<Record<number, number>>) =>
  Array.from({ length: 16 }, (_, pcr) => filled(changes[pcr] ?? pcr));

async function source(name: string, machine: SoftwareMachine, changes: Readonly<Record<number, number>> = {}) {
  const file = await issueEvidenceFile([{ issue: (statement) => machine.issue(statement, pcrs(changes)) }]);
  return { name, file };
}

Deno.test("makePolicy() makes a policy of all values and identities in the files, and all files satisfy it", async () => {
  const files = [await source("one", a), await source("two", b, { 9: 77 }), await source("three", a, { 9: 77 })];
  const { text } = await makePolicy({ ...nothing, files, controlPlanes: [a.identity] }, context);
  const policy = readPolicy(text, "it");
  assert.deepEqual([...tpmOf(policy).pcrs.keys()], [0, 2, 3, 4, 7, 8, 9, 11, 13, 14]);
  assert.deepEqual(tpmOf(policy).pcrs.get(9)?.map(hex), [hex(filled(9)), hex(filled(77))]);
  assert.deepEqual([...tpmOf(policy).trust.identities], [a.identity, b.identity]);
  assert.deepEqual([...policy.controlPlanes], [a.identity]);
  for (const { file } of files) assert.equal((await explainEvidence({ file, policy, now })).verdict, "accepted");
});

Deno.test("makePolicy() pins what says which code boots, says why, names the rest, and takes more or less as it is asked", async () => {
  const files = [await source("one", a), await source("two", a, { 1: 50, 5: 51, 9: 52 })];
  const made = await makePolicy({ ...nothing, files }, context);
  const said = (pattern: RegExp, { remarks } = made) => remarks.filter((remark) => pattern.test(remark));
  assert.deepEqual(said(/--without-pcr/).map((remark) => remark.slice(0, 6)), ["PCR 9 "]);
  const named = said(/^ {2}PCR \d+: \S/).map((remark) => Number(/\d+/.exec(remark)?.[0]));
  assert.deepEqual(named, [0, 2, 3, 4, 7, 8, 9, 11, 13, 14, 1, 5, 6, 10]);
  assert.match(said(/PCR 1:/).join(), /boot order.*PCR 4 says what boots/);
  assert.match(made.text, /^# It leaves out, unless --with-pcr takes them:$/m);
  const other = await makePolicy({ ...nothing, files, withPcrs: [1, 10], withoutPcrs: [9, 3] }, context);
  assert.deepEqual([...tpmOf(readPolicy(other.text, "it")).pcrs.keys()], [0, 1, 2, 4, 7, 8, 10, 11, 13, 14]);
  assert.ok(said(/./, other).includes("Left out, as was asked for: PCR 9, 3."));
});

Deno.test("makePolicy() is loud about a machine whose firmware measured nothing", async () => {
  for (const value of [0, 0xff]) {
    const zeros = Object.fromEntries(Array.from({ length: 8 }, (_, pcr) => [pcr, value]));
    const { text } = await makePolicy({ ...nothing, files: [await source("one", a, zeros)] }, context);
    assert.match(text, /^# NOT MEASURED: PCR 0 to 7 of one are zero: .*make any value/m);
    const measured = await makePolicy({ ...nothing, files: [await source("one", a, { ...zeros, 4: 9 })] }, context);
    assert.doesNotMatch(measured.text, /NOT MEASURED/);
  }
});

Deno.test("makePolicy() remarks on what it saw of a machine and does not judge", async () => {
  const issue = (statement: Uint8Array) => a.issue(statement, pcrs({}), { certificate: filled(0xff) });
  const files = [{ name: "odd.json", file: await issueEvidenceFile([{ issue }]) }];
  assert.match((await makePolicy({ ...nothing, files }, context)).text, /^# odd\.json: .*certificate cannot be read/m);
});

Deno.test("makePolicy() allows PCR 4 and PCR 11 of images besides those of machines, and names those that no machine showed", async () => {
  const registers = await ukiRegisters(writePe([STUB_252, kernelSection("kernel")]), "uki");
  const images = [{ name: "uki.efi", registers }];
  const alone = readPolicy((await makePolicy({ ...nothing, images, identities: [a.identity] }, context)).text, "it");
  assert.deepEqual([...tpmOf(alone).pcrs].map(([pcr, values]) => [pcr, values.map(hex)]), [
    [4, registers.bootLoader.map(hex)],
    [11, registers.kernelImages.map(({ value }) => hex(value))],
  ]);
  const files = [await source("one", a)];
  const { text, remarks } = await makePolicy({ ...nothing, images, files }, context);
  const both = readPolicy(text, "it");
  assert.deepEqual(tpmOf(both).pcrs.get(11)?.map(hex), [
    hex(filled(11)),
    ...registers.kernelImages.map(({ value }) => hex(value)),
  ]);
  assert.ok(remarks.includes("No evidence file shows PCR 4 of uki.efi."));
});

Deno.test("makePolicy() refuses sources that do not make a policy, and invalid evidence", async () => {
  const one = await source("one", a);
  const [evidence] = one.file.evidence;
  assert.ok(evidence !== undefined);
  const withPayload = (
    payload: Uint8Array,
  ) => [{ name: "x", file: { ...one.file, evidence: [{ variant: "tpm", payload }] } }];
  const cases: readonly (readonly [Partial<FileSources>, string])[] = [
    [{}, "usage/policy-sources"],
    [{ identities: [a.identity] }, "usage/policy-sources"],
    [{ files: [one, await source("two", p384)] }, "usage/policy-sources"],
    [{ files: [one], withoutPcrs: Array.from({ length: 16 }, (_, i) => i) }, "usage/policy-sources"],
    [{ files: [one], controlPlanes: [b.identity] }, "usage/policy-sources"],
    [{ files: [{ name: "x", file: { ...one.file, nonce: filled(1) } }] }, "refused/statement"],
    [{ files: withPayload(flipped(evidence.payload, evidence.payload.length - 1)) }, "refused/pcr-digest"],
    [{ files: withPayload(new Uint8Array(3)) }, "malformed/evidence-version"],
    [
      { files: [{ name: "x", file: { ...one.file, evidence: [{ variant: "snp", payload: filled(1) }] } }] },
      "malformed/evidence-version",
    ],
    [
      { files: [{ name: "x", file: { ...one.file, evidence: [{ variant: "none", payload: filled(1) }] } }] },
      "usage/policy-sources",
    ],
  ];
  for (const [sources, code] of cases) {
    assert.equal((await errorOf(() => makePolicy({ ...nothing, ...sources }, context))).code, code);
  }
});

Deno.test("makePolicy() writes its remarks as comments, whatever the names of the files", async () => {
  const { text } = await makePolicy({ ...nothing, files: [await source("x\nversion: 2\r\u2028y", a)] }, context);
  assert.deepEqual(requiredNames(readPolicy(text, "it")), { node: ["tpm"], init: ["tpm"] });
});
