/** Reports and their certificates are refused when any byte of them is changed. */
import assert from "node:assert/strict";
import { sliceOfFlips } from "../../../tests/full/slice.ts";
import type { Expectation } from "../../evidence.ts";
import { FRESH } from "../../evidence.ts";
import { flipAll } from "../../testing/evidence.ts";
import { REPORT_BYTES } from "./report.ts";
import { evidenceOf, expectationOf, judge, REPORTS } from "./testing/oracles.ts";
import { collateralOf, createSoftwareAmd, HOST_DATA, NOW, oracleTest, policyFor, STATEMENT } from "./testing/snp.ts";
import { createSnpVerifier } from "./verifier.ts";

/** Codes that may refuse a flipped byte of the report itself. */
const REPORT_FAMILY =
  /^(?:malformed\/snp-report|refused\/snp-(?:report-(?:signature|version)|signing-key|signature-algorithm|collateral))$/;
/** Codes that may refuse a flipped byte of a certificate: a wrong form, or a wrong signature. */
const CERTIFICATE_FAMILY =
  /^(?:malformed\/(?:der|utf8|public-key)|refused\/snp-(?:certificate-(?:signature|issuer)|signature-algorithm))$/;

const slice = sliceOfFlips();

function assertCodes(codes: ReadonlyMap<string, number>, family: RegExp): void {
  for (const code of codes.keys()) assert.match(code, family);
}

/**
 * Asserts the codes that refused flips of a report. Version, algorithm and unsigned padding are refused by their form.
 * The signature refuses all others, most of the 1184 bytes.
 */
function assertReportCodes(codes: ReadonlyMap<string, number>, least: number): void {
  assertCodes(codes, REPORT_FAMILY);
  assert.ok((codes.get("refused/snp-report-signature") ?? 0) > least / slice.of, JSON.stringify([...codes]));
}

for (const name of REPORTS) {
  oracleTest(`the ${name} report is refused when any byte is flipped`, async (read) => {
    const { report, vek } = await evidenceOf(read, name);
    const expected = expectationOf(report, { allowsLaggingTcb: true });
    assertReportCodes(await flipAll(report, (changed) => judge(changed, vek, expected), slice), 750);
  });

  oracleTest(`the ${name} report's certificate is refused when any byte is flipped`, async (read) => {
    const { report, vek } = await evidenceOf(read, name);
    const expected = expectationOf(report, { allowsLaggingTcb: true });
    assertCodes(await flipAll(vek, (changed) => judge(report, changed, expected), slice), CERTIFICATE_FAMILY);
  });
}

Deno.test("createSnpVerifier() refuses evidence when any byte of it is flipped", async () => {
  const amd = await createSoftwareAmd();
  const expectation: Expectation = { trust: [HOST_DATA], lock: [FRESH], identity: "1d".repeat(32) };
  const authority = amd.anchors[0]?.authorities.vcek.der ?? assert.fail("there is no authority");
  // The evidence carries its own authority, so that bytes of all three certificates are flipped.
  const evidence = await amd.evidence({ authority, crl: await amd.crl() });
  const verifier = createSnpVerifier(policyFor(), collateralOf({}), () => NOW, amd.anchors);
  await verifier.verify(evidence, STATEMENT, expectation);
  const flips = (from: number, to?: number) =>
    flipAll(evidence.payload.subarray(from, to), (changed) => {
      const payload = evidence.payload.slice();
      payload.set(changed, from);
      return verifier.verify({ variant: "snp", payload }, STATEMENT, expectation);
    }, slice);
  const [start, end] = [2, 2 + REPORT_BYTES];
  assertReportCodes(await flips(start, end), 500);
  for (const codes of [await flips(0, start), await flips(end)]) assertCodes(codes, /^(?:malformed|refused)\//);
});
