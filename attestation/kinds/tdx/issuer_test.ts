import assert from "node:assert/strict";
import { FRESH } from "../../evidence.ts";
import { concat } from "../../../platform/bytes.ts";
import { readTsmReport } from "../../tsm/report.ts";
import { createFakeTsm } from "../../tsm/testing/tsm.ts";
import { createTdxIssuer } from "./issuer.ts";
import { decodeTdxPayload } from "./payload.ts";
import { readQuote } from "./quote.ts";
import { padded } from "./rtmr.ts";
import { filled, oracleTest } from "./testing/tdx.ts";
import { errorOf } from "../../testing/evidence.ts";
import { NOW } from "./testing/der.ts";
import { createSoftwareIntel } from "./testing/intel.ts";
import { createTdxVerifier } from "./verifier.ts";

const intel = createSoftwareIntel();
const STATEMENT = filled(32, 0xa1);
const D12 = filled(32, 0x12);
const IDENTITY = "1d".repeat(32);
const nothing = () => Promise.resolve({});

Deno.test("createTdxIssuer() makes evidence that createTdxVerifier() accepts, without what follows the quote", async () => {
  const tsm = createFakeTsm({
    provider: "tdx_guest",
    answer: async (reportData) => ({
      outblob: await intel.quote({ reportData, mrConfigId: padded(D12), trailing: filled(70, 0) }),
    }),
  });
  const issuer = createTdxIssuer(() => Promise.resolve(intel.collateral()), (request) => readTsmReport(request, tsm));
  const evidence = await issuer.issue(STATEMENT);
  assert.equal(tsm.all.size, 0);
  const policy = {
    mrtd: [filled(48, 0xa0)],
    rtmr1: [filled(48, 0xb1)],
    rtmr2: [filled(48, 0xb2)],
    tcbStatuses: ["UpToDate"],
    minimumTeeTcbSvn: filled(16, 0),
    minimumEvaluation: 0,
    bannedPlatforms: new Set<string>(),
  } as const;
  const nowhere = { place: "nowhere", find: () => Promise.resolve(undefined) };
  const verifier = createTdxVerifier(policy, nowhere, () => NOW, intel.anchor);
  const { claims } = await verifier.verify(evidence, STATEMENT, {
    trust: [D12],
    lock: [FRESH],
    identity: await issuer.ownIdentity(IDENTITY),
  });
  assert.deepEqual([claims.identity, claims.fresh], [IDENTITY, true]);
});

oracleTest("createTdxIssuer() cuts off the bytes after a real quote", async (read) => {
  const outblob = await read("tdx_quote_6.dat");
  // Its report data is 48 bytes and zeros, which no statement of 32 bytes matches. The test overwrites it, which breaks
  // the signature.
  const { reportData } = readQuote(outblob).report;
  const patched = concat(outblob.subarray(0, 600), filled(32, 0), outblob.subarray(632));
  const tsm = createFakeTsm({ provider: "tdx_guest", answer: () => Promise.resolve({ outblob: patched }) });
  const { payload } = await createTdxIssuer(nothing, (request) => readTsmReport(request, tsm)).issue(
    reportData.subarray(0, 32),
  );
  const { quote } = decodeTdxPayload(payload);
  assert.equal(quote.length, outblob.length - 70);
});

Deno.test("createTdxIssuer() refuses a quote over other data, other providers, other statements and challenges", async () => {
  const answering = (outblob: Promise<Uint8Array<ArrayBuffer>>, provider = "tdx_guest") => {
    const tsm = createFakeTsm({ provider, answer: async () => ({ outblob: await outblob }) });
    return createTdxIssuer(nothing, (request) => readTsmReport(request, tsm));
  };
  const other = answering(intel.quote({ reportData: filled(64, 1) }));
  assert.equal((await errorOf(() => other.issue(STATEMENT))).code, "system/tdx-quote");
  assert.equal((await errorOf(() => other.issue(filled(31, 1)))).code, "internal/statement");
  const challenge = { credentialBlob: new Uint8Array(), encryptedSecret: new Uint8Array() };
  assert.equal((await errorOf(() => other.activate(challenge))).code, "protocol/challenge");
  const garbage = answering(Promise.resolve(filled(100, 0xa1)));
  assert.equal((await errorOf(() => garbage.issue(STATEMENT))).code, "malformed/tdx-quote");
  const snp = answering(intel.quote(), "sev_guest");
  assert.equal((await errorOf(() => snp.issue(STATEMENT))).code, "precondition/tsm-provider");
});
