/**
 * Compares our verdicts with those of an independent verifier, dcap-qvl in WebAssembly.
 */
import assert from "node:assert/strict";
import initialize, { js_verify } from "npm:@phala/dcap-qvl-web@0.3.3";
import type { Bytes } from "../../../platform/bytes.ts";
import { sliceOfFlips, takeSlice } from "../../../tests/full/slice.ts";
import { fromUtf8, hex } from "../../../platform/bytes.ts";
import type { TdxCollateral } from "./collateral.ts";
import { readQuote } from "./quote.ts";
import { readSignedJson } from "./intel_json.ts";
import { oracleTest } from "./testing/tdx.ts";
import { errorOf, flipped } from "../../testing/evidence.ts";
import {
  collateralOf2023,
  collateralOf2025,
  IN_2023,
  justBeforeEnd,
  QUOTE_OF_2023,
  QUOTE_OF_2025,
  type Read,
  verdict,
} from "./testing/oracles.ts";

/** The compared parts of the other verifier's verdict on a quote that it accepts. */
interface OtherVerdict {
  readonly status: string;
  readonly advisory_ids: readonly string[];
  readonly report: { readonly TD10: Readonly<Record<string, string>> };
}

/** The other verifier's verdict; `undefined` if it refuses. */
function otherVerdict(file: Bytes, collateral: TdxCollateral, now: Date): OtherVerdict | undefined {
  try {
    return js_verify(file, inItsForm(collateral), BigInt(now.getTime() / 1000)) as OtherVerdict;
  } catch {
    return undefined;
  }
}

function inItsForm(collateral: TdxCollateral): Readonly<Record<string, string>> {
  const text = (bytes: Uint8Array) => fromUtf8(bytes, "collateral");
  const tcbInfo = readSignedJson(collateral.tcbInfo, "tcbInfo", "TCB info");
  const qeIdentity = readSignedJson(collateral.qeIdentity, "enclaveIdentity", "QE identity");
  return {
    pck_crl_issuer_chain: text(collateral.tcbInfoChain),
    root_ca_crl: hex(collateral.rootCrl),
    pck_crl: hex(collateral.pckCrl),
    tcb_info_issuer_chain: text(collateral.tcbInfoChain),
    tcb_info: text(tcbInfo.signed),
    tcb_info_signature: hex(tcbInfo.signature),
    qe_identity_issuer_chain: text(collateral.qeIdentityChain),
    qe_identity: text(qeIdentity.signed),
    qe_identity_signature: hex(qeIdentity.signature),
  };
}

function comparison(name: string, run: (read: Read) => Promise<void>): void {
  oracleTest(name, async (read) => {
    await initialize();
    await run(read);
  });
}

comparison("both give the same verdict on an up-to-date quote, and read the same fields", async (read) => {
  const [file, collateral] = [await read(QUOTE_OF_2025), await collateralOf2025(read)];
  const now = justBeforeEnd(collateral);
  const [ours, other] = [await verdict(file, collateral, now), otherVerdict(file, collateral, now)];
  assert.ok(other !== undefined);
  assert.deepEqual([ours.status, ours.advisoryIds], [other.status, other.advisory_ids]);
  const { report } = readQuote(file);
  const { TD10: seen } = other.report;
  assert.deepEqual(
    [
      report.teeTcbSvn,
      report.mrSeam,
      report.mrSignerSeam,
      report.seamAttributes,
      report.mrtd,
      report.mrConfigId,
      report.mrOwner,
      report.mrOwnerConfig,
      ...report.rtmrs,
      report.reportData,
    ].map(hex),
    [
      seen.tee_tcb_svn,
      seen.mr_seam,
      seen.mr_signer_seam,
      seen.seam_attributes,
      seen.mr_td,
      seen.mr_config_id,
      seen.mr_owner,
      seen.mr_owner_config,
      seen.rt_mr0,
      seen.rt_mr1,
      seen.rt_mr2,
      seen.rt_mr3,
      seen.report_data,
    ],
  );
  const littleEndian = (value: bigint) => hex(new Uint8Array(new BigUint64Array([value]).buffer));
  assert.deepEqual([report.tdAttributes, report.xfam].map(littleEndian), [seen.td_attributes, seen.xfam]);
});

comparison(
  "both refuse a platform below every TCB level, expired collateral, and another platform's collateral",
  async (read) => {
    const [old, current] = [await collateralOf2023(read), await collateralOf2025(read)];
    const now = justBeforeEnd(current);
    for (
      const [name, collateral, time] of [
        [QUOTE_OF_2023, old, IN_2023],
        [QUOTE_OF_2023, old, new Date("2053-07-01T00:00:00Z")],
        [QUOTE_OF_2023, current, now],
        [QUOTE_OF_2025, current, new Date(now.getTime() + 40 * 86_400_000)],
        [QUOTE_OF_2025, old, IN_2023],
      ] as const
    ) {
      const file = await read(name);
      await errorOf(() => verdict(file, collateral, time));
      assert.equal(otherVerdict(file, collateral, time), undefined, `${name} ${time.toISOString()}`);
    }
  },
);

comparison("both refuse a changed quote; the other ignores its root, as it has its own", async (read) => {
  const [file, collateral] = [await read(QUOTE_OF_2025), await collateralOf2025(read)];
  const now = justBeforeEnd(collateral);
  const { bytes, pckChain } = readQuote(file);
  const rootStart = bytes.length - pckChain.length + fromUtf8(pckChain, "chain").lastIndexOf("-----BEGIN");
  const everyThirteenth = [...bytes.keys()].filter((index) => index % 13 === 0);
  for (const index of takeSlice(everyThirteenth, sliceOfFlips())) {
    const changed = flipped(bytes, index, 1 << index % 8);
    await errorOf(() => verdict(changed, collateral, now));
    if (otherVerdict(changed, collateral, now) !== undefined) assert.ok(index >= rootStart, `byte ${index}`);
  }
});
