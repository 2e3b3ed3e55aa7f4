/**
 * Real quotes are refused when any byte of them is changed.
 */
import assert from "node:assert/strict";
import type { Bytes } from "../../../platform/bytes.ts";
import { sliceOfFlips } from "../../../tests/full/slice.ts";
import { flipAll } from "../../testing/evidence.ts";
import { readQuote } from "./quote.ts";
import { oracleTest } from "./testing/tdx.ts";
import {
  collateralOf2025,
  IN_2023,
  IN_2026,
  justBeforeEnd,
  QUOTE_OF_2023,
  QUOTE_OF_2025,
  QUOTE_WITH_CONFIG_ID,
  type Read,
  signatures,
  verdict,
} from "./testing/oracles.ts";

/** The expected codes. Each names the part that the changed byte belongs to. */
const CODES = [
  "malformed/base64",
  "malformed/der",
  "malformed/pem",
  "malformed/tdx-quote",
  "malformed/utf8",
  "refused/tdx-certificate-issuer",
  "refused/tdx-certificate-signature",
  "refused/tdx-certificate-subject",
  "refused/tdx-qe-report-data",
  "refused/tdx-qe-signature",
  "refused/tdx-quote-signature",
  "refused/tdx-root",
];

const slice = sliceOfFlips();

async function assertNoFlip(read: Read, name: string, check: (file: Bytes) => Promise<unknown>): Promise<void> {
  const { bytes } = readQuote(await read(name));
  await check(bytes);
  const codes = [...(await flipAll(bytes, check, slice)).keys()].sort();
  // A few bytes need not lie in every part of the quote.
  if (slice.of <= 2) assert.deepEqual(codes, CODES);
  else assert.deepEqual(codes.filter((code) => !CODES.includes(code)), []);
}

for (const [name, now] of [[QUOTE_OF_2023, IN_2023], [QUOTE_WITH_CONFIG_ID, IN_2026]] as const) {
  oracleTest(
    `checkQuoteSignatures() refuses ${name} with any byte flipped`,
    (read) => assertNoFlip(read, name, (file) => signatures(file, now)),
  );
}

oracleTest(`checkDcap() refuses ${QUOTE_OF_2025} with any byte flipped`, async (read) => {
  const collateral = await collateralOf2025(read);
  const now = justBeforeEnd(collateral);
  await assertNoFlip(read, QUOTE_OF_2025, (file) => verdict(file, collateral, now));
});
