import assert from "node:assert/strict";
import type { Bytes } from "../../../platform/bytes.ts";
import { hex } from "../../../platform/bytes.ts";
import { collateralAtHand, CollateralWanted } from "../../collateral_wanted.ts";
import { errorOf } from "../../testing/evidence.ts";
import { chipIdOf, collateralOf, der, hours, MILAN_TCB, policyFor, STATEMENT } from "./testing/snp.ts";
import { amd, codeOf, expectation, other, verifierFor } from "./testing/verifying.ts";

Deno.test("createSnpVerifier() wants a certificate only for a report that passes what needs none", async () => {
  const files: Record<string, Uint8Array> = {};
  const wanted: string[] = [];
  const lists = await amd.collateral();
  const atHand = collateralAtHand({
    ...collateralOf(files),
    find: async (name) => (wanted.push(name), (await lists.find(name)) ?? await collateralOf(files).find(name)),
    recall: (name) =>
      files[name] === undefined ? undefined : { file: { bytes: new Uint8Array(files[name]), source: name } },
  });
  const without = { vekDer: new Uint8Array() };
  const forged = {
    "refused/snp-measurement": { 0x90: new Uint8Array(48) },
    "refused/snp-report-data": { 0x50: new Uint8Array(64) },
    "refused/snp-host-data": { 0xc0: new Uint8Array(32) },
    "refused/snp-vmpl": { 0x30: Uint8Array.of(1) },
  };
  for (const [code, report] of Object.entries(forged)) {
    assert.equal(await codeOf({ ...without, report }, undefined, atHand), code);
  }
  const banned = { ...policyFor(), bannedChipIds: new Set([hex(chipIdOf("milan"))]) };
  assert.equal(await codeOf(without, banned, atHand), "refused/snp-banned-chip-id");
  const verdict = await errorOf(async () =>
    verifierFor(amd, policyFor(), atHand).verify(await amd.evidence(without), STATEMENT, expectation)
  );
  assert.ok(verdict instanceof CollateralWanted);
  const [document] = verdict.documents;
  files[document?.name ?? ""] = await amd.vek();
  const next = await errorOf(async () =>
    verifierFor(amd, policyFor(), atHand).verify(await amd.evidence(without), STATEMENT, expectation)
  );
  assert.ok(next instanceof CollateralWanted);
  assert.deepEqual(next.documents.map(({ name }) => name), ["amd-milan-vcek.crl"]);
  files["amd-milan-vcek.crl"] = await amd.crl();
  await verifierFor(amd, policyFor(), atHand).verify(await amd.evidence(without), STATEMENT, expectation);
  assert.deepEqual(wanted, []);
});

Deno.test("createSnpVerifier() uses the authority and the revocation list of the evidence", async () => {
  const authority = amd.anchors[0]?.authorities.vcek.der;
  assert.ok(authority !== undefined);
  const evidence = await amd.evidence({ authority, crl: await amd.crl() });
  await verifierFor(amd, policyFor(), collateralOf({})).verify(evidence, STATEMENT, expectation);
});

Deno.test("createSnpVerifier() finds the certificate for chip and TCB in its own collateral", async () => {
  const name = `amd-vcek-${hex(chipIdOf("milan"))}-${hex(MILAN_TCB)}.der`;
  const files = { [name]: await amd.vek(), "amd-milan-vcek.crl": await amd.crl() };
  const evidence = await amd.evidence({ vekDer: new Uint8Array() });
  await verifierFor(amd, policyFor(), collateralOf(files)).verify(evidence, STATEMENT, expectation);
  const error = await errorOf(() => verifierFor().verify(evidence, STATEMENT, expectation));
  assert.equal(error.code, "refused/snp-collateral");
  assert.equal(error.details["expected"], name);
});

const FILE = "amd-milan-vcek.crl";

/** A wrong revocation list of this side, and the code of the refusal. */
const LISTS: readonly [what: string, list: () => Promise<Bytes | undefined>, code: string][] = [
  ["is missing", () => Promise.resolve(undefined), "refused/snp-collateral"],
  ["is stale", () => amd.crl({ nextUpdate: hours(-0.5) }), "refused/snp-crl-validity"],
  ["is of the future", () => amd.crl({ thisUpdate: hours(0.5) }), "refused/snp-crl-validity"],
  [
    "revokes the authority",
    () => amd.crl({ revoked: [Uint8Array.of(9), Uint8Array.of(2)] }),
    "refused/snp-certificate-revoked",
  ],
  ["revokes the root", () => amd.crl({ revoked: [Uint8Array.of(1)] }), "refused/snp-certificate-revoked"],
  ["is signed by the authority", () => amd.crl({ signer: "ask" }), "refused/snp-crl-signature"],
  ["is of another root of the same name", () => other.crl(), "refused/snp-crl-signature"],
  ["is of another issuer", () => amd.crl({ issuer: der(0x30) }), "refused/snp-crl-issuer"],
  ["is cut off", async () => (await amd.crl()).slice(0, -1), "malformed/der"],
];

for (const [what, list, code] of LISTS) {
  Deno.test(`createSnpVerifier() refuses evidence when the revocation list ${what}, and names it`, async () => {
    const bytes = await list();
    const where = collateralOf(bytes === undefined ? {} : { [FILE]: bytes });
    const evidence = await amd.evidence();
    const verdict = () => verifierFor(amd, policyFor(), where).verify(evidence, STATEMENT, expectation);
    const error = await errorOf(verdict);
    assert.equal(error.code, code);
    assert.match(error.message, /amd-milan-vcek\.crl/);
  });
}

Deno.test("createSnpVerifier() prefers its own revocation list to that of the evidence", async () => {
  const crl = await amd.crl();
  const where = collateralOf({ [FILE]: await amd.crl({ revoked: [Uint8Array.of(2)] }) });
  assert.equal(await codeOf({ crl }, policyFor(), where), "refused/snp-certificate-revoked");
});
