/** Intel's documents are refused when any byte of them is changed. */
import assert from "node:assert/strict";
import { sliceOfFlips } from "../../../tests/full/slice.ts";
import { flipAll } from "../../testing/evidence.ts";
import { COLLATERAL_PARTS, type CollateralPart } from "./collateral.ts";
import { oracleTest } from "./testing/tdx.ts";
import { collateralOf2025, justBeforeEnd, QUOTE_OF_2025, verdict } from "./testing/oracles.ts";

const CHAIN =
  /^(refused\/tdx-(root|certificate-(subject|issuer|signature|validity))|malformed\/(pem|base64|der|utf8))$/;
const CRL = /^(refused\/tdx-crl-(issuer|signature|extension|validity)|malformed\/(der|utf8))$/;
/** The codes that may refuse a change. */
const CODES: Readonly<Record<CollateralPart, RegExp>> = {
  tcbInfo: /^(refused\/tdx-tcb-info-(date|signature)|malformed\/(tdx-collateral|utf8))$/,
  tcbInfoChain: CHAIN,
  qeIdentity: /^(refused\/tdx-qe-identity-(date|signature)|malformed\/(tdx-collateral|utf8))$/,
  qeIdentityChain: CHAIN,
  pckCrl: CRL,
  rootCrl: CRL,
};

const slice = sliceOfFlips();

for (const part of COLLATERAL_PARTS) {
  oracleTest(`checkDcap() refuses ${part} with a byte flipped`, async (read) => {
    const [file, collateral] = [await read(QUOTE_OF_2025), await collateralOf2025(read)];
    const now = justBeforeEnd(collateral);
    await verdict(file, collateral, now);
    const codes = await flipAll(
      collateral[part],
      (bytes) => verdict(file, { ...collateral, [part]: bytes }, now),
      slice,
    );
    for (const code of codes.keys()) assert.match(code, CODES[part]);
  });
}
