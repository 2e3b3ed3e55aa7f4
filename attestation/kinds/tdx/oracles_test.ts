/**
 * Verdicts on quotes of real machines, with the documents that Intel published at that time.
 */
import { padded } from "./rtmr.ts";
import assert from "node:assert/strict";
import { readPem } from "../../../certificate/pem.ts";
import { readCertificate } from "../../../certificate/x509.ts";
import { equalBytes, fromHex, fromUtf8, hex, isZero, sha256 } from "../../../platform/bytes.ts";
import { createChecks } from "../../checks.ts";
import { readPckChain } from "./intel_chain.ts";
import { DEFAULT_TCB_STATUSES } from "./policy.ts";
import { checkTdAttributes } from "./td_attributes.ts";
import { verifyTdx } from "./verifier.ts";
import { INTEL_SGX_ROOT_CA_FINGERPRINT, intelRoot } from "./intel_root.ts";
import { readQuote } from "./quote.ts";
import { oracleTest } from "./testing/tdx.ts";
import { errorOf } from "../../testing/evidence.ts";
import {
  collateralOf2023,
  collateralOf2025,
  IN_2023,
  IN_2026,
  justBeforeEnd,
  QUOTE_OF_2023,
  QUOTE_OF_2025,
  QUOTE_WITH_CONFIG_ID,
  signatures,
  verdict,
} from "./testing/oracles.ts";

const IN_2053 = new Date("2053-07-01T00:00:00Z");

oracleTest("intelRoot() is Intel's root", async (read) => {
  const pem = fromUtf8(await read("trusted_root.pem"), "root").trimEnd() + "\n";
  const root = intelRoot();
  assert.ok(equalBytes(root.der, readCertificate(readPem(pem, "CERTIFICATE", "root"), "root").der));
  assert.equal(hex(await sha256(root.der)), INTEL_SGX_ROOT_CA_FINGERPRINT);
});

oracleTest("a quote of 2023 has valid signatures, with 39 bytes after it", async (read) => {
  const file = await read(QUOTE_OF_2023);
  const quote = readQuote(file);
  assert.equal(quote.version, 4);
  assert.equal(quote.trailing, 39);
  assert.match(hex(quote.report.mrtd), /^6363b804.*5cbb$/);
  assert.match(hex(quote.report.reportData), /^6c62dec1.*1113$/);
  const platform = await signatures(file, IN_2023);
  assert.equal(platform.fmspc, "50806f000000");
  assert.equal(platform.pceId, "0000");
});

oracleTest("a quote of 2023 reaches no TCB level of its time", async (read) => {
  const error = await errorOf(async () => verdict(await read(QUOTE_OF_2023), await collateralOf2023(read), IN_2023));
  assert.equal(error.code, "refused/tdx-tcb-level");
});

oracleTest("collateral of 2023 is refused in 2053", async (read) => {
  const error = await errorOf(async () => verdict(await read(QUOTE_OF_2023), await collateralOf2023(read), IN_2053));
  assert.equal(error.code, "refused/tdx-tcb-info-date");
});

oracleTest("a quote of 2025 is up to date until its collateral expires", async (read) => {
  const [file, collateral] = [await read(QUOTE_OF_2025), await collateralOf2025(read)];
  const now = justBeforeEnd(collateral);
  const { status, advisoryIds, evaluation } = await verdict(file, collateral, now);
  assert.deepEqual({ status, advisoryIds, evaluation }, { status: "UpToDate", advisoryIds: [], evaluation: 17 });
  const late = await errorOf(() => verdict(file, collateral, new Date(now.getTime() + 2000)));
  assert.equal(late.code, "refused/tdx-crl-validity");
});

oracleTest("a quote with a MRCONFIGID has valid signatures", async (read) => {
  const file = await read(QUOTE_WITH_CONFIG_ID);
  assert.ok(!isZero(readQuote(file).report.mrConfigId));
  await signatures(file, IN_2026);
});

oracleTest("collateral of other platforms, or another quote's, is refused", async (read) => {
  const [old, current] = [await collateralOf2023(read), await collateralOf2025(read)];
  const now = justBeforeEnd(current);
  const otherPlatform = await errorOf(async () => verdict(await read(QUOTE_OF_2023), current, now));
  assert.equal(otherPlatform.code, "refused/tdx-fmspc");
  const stale = await errorOf(async () =>
    verdict(await read(QUOTE_OF_2025), { ...current, tcbInfo: old.tcbInfo }, now)
  );
  assert.equal(stale.code, "refused/tdx-tcb-info-date");
});

oracleTest(
  "the whole verifier refuses a real quote of 2025 only for the fields that this protocol sets",
  async (read) => {
    const quote = readQuote(await read(QUOTE_OF_2025));
    const collateral = await collateralOf2025(read);
    const { mrtd, rtmrs } = quote.report;
    const policy = {
      mrtd: [mrtd],
      rtmr0: [rtmrs[0]],
      rtmr1: [rtmrs[1]],
      rtmr2: [rtmrs[2]],
      tcbStatuses: DEFAULT_TCB_STATUSES,
      minimumTeeTcbSvn: fromHex("05010200000000000000000000000000", "SVNs"),
      minimumEvaluation: 17,
      bannedPlatforms: new Set<string>(),
    };
    const digest = new Uint8Array(32).fill(1);
    const expectation = {
      statement: digest,
      registers: { trust: [padded(digest)], lock: [new Uint8Array(48)] },
      identity: hex(digest),
    };
    const failed: string[] = [];
    const checks = createChecks(({ check, passed }) => void (passed || failed.push(check)));
    const trust = { anchor: intelRoot(), now: justBeforeEnd(collateral) };
    const chain = readPckChain(quote.pckChain);
    await errorOf(() => verifyTdx({ quote, chain, collateral }, policy, expectation, trust, checks));
    assert.deepEqual(failed, ["tdx-report-data", "tdx-mrconfigid"]);
  },
);

oracleTest(
  "checkTdAttributes() refuses only the TD of 2023, whose host may take its pages",
  async (read) => {
    for (
      const [name, expected] of [[QUOTE_OF_2023, ["tdx-sept-ve-disable"]], [QUOTE_OF_2025, []], [
        QUOTE_WITH_CONFIG_ID,
        [],
      ]] as const
    ) {
      const failed: string[] = [];
      const checks = createChecks(({ check, passed }) => void (passed || failed.push(check)));
      await checkTdAttributes(readQuote(await read(name)).report, {}, checks);
      assert.deepEqual(failed, expected, name);
    }
  },
);
