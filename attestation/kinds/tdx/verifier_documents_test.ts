import assert from "node:assert/strict";
import { concat } from "../../../platform/bytes.ts";
import type { Collateral } from "../../collateral.ts";
import { collateralAtHand, CollateralWanted } from "../../collateral_wanted.ts";
import { collateralName, type TdxCollateral } from "./collateral.ts";
import { encodeTdxPayload } from "./payload.ts";
import type { TdxPolicy } from "./policy.ts";
import { padded } from "./rtmr.ts";
import { errorOf } from "../../testing/evidence.ts";
import { NOW } from "./testing/der.ts";
import type { QuoteLies } from "./testing/intel.ts";
import { createTdxVerifier } from "./verifier.ts";
import { D15, expectation, intel, nowhere, policy, PPID, rightQuote, STATEMENT } from "./testing/verifying.ts";

Deno.test("createTdxVerifier() finds documents by platform when the evidence lacks them", async () => {
  const all = intel.collateral();
  const need = { fmspc: "b0c06f000000", pckCa: "platform" } as const;
  const names = new Map(
    Object.entries(all).map(([part, bytes]) => [collateralName(part as keyof TdxCollateral, need), concat(bytes)]),
  );
  const asked: string[] = [];
  const folder: Collateral = {
    place: "/folder",
    find(name) {
      asked.push(name);
      const bytes = names.get(name);
      return Promise.resolve(bytes === undefined ? undefined : { bytes, source: name });
    },
  };
  const payload = encodeTdxPayload({ quote: await intel.quote(rightQuote), collateral: { tcbInfo: all.tcbInfo } });
  const verifier = createTdxVerifier(policy, folder, () => NOW, intel.anchor);
  await verifier.verify({ variant: "tdx", payload }, STATEMENT, expectation);
  assert.deepEqual(asked.sort(), [
    "tdx-pck-platform.crl",
    "tdx-qe-identity.json",
    "tdx-qe-identity.pem",
    "tdx-root.crl",
    "tdx-tcb-info-b0c06f000000.pem",
  ]);
  names.delete("tdx-root.crl");
  const error = await errorOf(() => verifier.verify({ variant: "tdx", payload }, STATEMENT, expectation));
  assert.equal(error.code, "refused/tdx-collateral-missing");
  assert.equal(error.details.expected, "tdx-root.crl");
  assert.match(error.next, /\/folder/);
});

Deno.test("createTdxVerifier() wants documents only for a quote that passes what needs none", async () => {
  const asked: string[] = [];
  const atHand = collateralAtHand({
    ...nowhere,
    find: (name) => (asked.push(name), nowhere.find(name)),
    recall: () => undefined,
  });
  const verdictOn = (quote: QuoteLies, one: TdxPolicy = policy) =>
    errorOf(async () => {
      const payload = encodeTdxPayload({ quote: await intel.quote({ ...rightQuote, ...quote }), collateral: {} });
      const verifier = createTdxVerifier(one, atHand, () => NOW, intel.anchor);
      await verifier.verify({ variant: "tdx", payload }, STATEMENT, expectation);
    });
  assert.equal((await verdictOn({ reportData: new Uint8Array(64) })).code, "refused/tdx-report-data");
  assert.equal((await verdictOn({ mrConfigId: padded(D15) })).code, "refused/tdx-mrconfigid");
  const banned = { ...policy, bannedPlatforms: new Set([PPID]) };
  assert.equal((await verdictOn({}, banned)).code, "refused/tdx-banned-platform");
  const forged = await intel.quote(rightQuote);
  forged[QUOTE_SIGNATURE_AT] = (forged[QUOTE_SIGNATURE_AT] ?? 0) ^ 1;
  const refused = await errorOf(() =>
    createTdxVerifier(policy, atHand, () => NOW, intel.anchor)
      .verify({ variant: "tdx", payload: encodeTdxPayload({ quote: forged, collateral: {} }) }, STATEMENT, expectation)
  );
  assert.equal(refused.code, "refused/tdx-quote-signature");
  const verdict = await verdictOn({});
  assert.ok(verdict instanceof CollateralWanted);
  assert.equal(verdict.documents.length, 6);
  assert.deepEqual(asked, []);
});

/** Where the signature of a version 4 quote begins: header 48, TD report 584, length 4 (Intel's DCAP guide, A.3). */
const QUOTE_SIGNATURE_AT = 48 + 584 + 4;
