/** Policies made from evidence of confidential VMs: from simulated processors, and from real ones. */
import { TPM } from "../kinds/tpm/kind.ts";
import { TDX, tdxKind } from "../kinds/tdx/kind.ts";
import { SNP, snpKind } from "../kinds/snp/kind.ts";
import type { AmdAnchor } from "../kinds/snp/amd_roots.ts";
import { KINDS } from "../kinds.ts";
import { extendedOnce } from "../../protocol/transcript.ts";
import { requiredNames, snpOf, tdxOf, tpmOf } from "../testing/sections.ts";
import { FRESH, NO_IDENTITY } from "../evidence.ts";
import assert from "node:assert/strict";
import { parse } from "yaml";
import { concat, fromHex, fromUtf8, hex } from "../../platform/bytes.ts";
import type { Collateral } from "../collateral.ts";
import { encodeEvidenceSet } from "../combined.ts";
import type { Evidence, EvidenceClaims } from "../evidence.ts";
import { type EvidenceFile, issueEvidenceFile } from "../evidence_file.ts";
import { draftPolicy, type MakeContext, makePolicy, makePolicyOf, type PolicySources } from "./policy_make.ts";
import { encodePayload } from "../kinds/snp/payload.ts";
import { readReport } from "../kinds/snp/report.ts";
import * as snp from "../kinds/snp/testing/snp.ts";
import { COLLATERAL_PARTS, collateralName, type TdxCollateral } from "../kinds/tdx/collateral.ts";
import { encodeTdxPayload } from "../kinds/tdx/payload.ts";
import { readQuote } from "../kinds/tdx/quote.ts";
import { filled, oracleTest as tdxOracleTest } from "../kinds/tdx/testing/tdx.ts";
import { NOW as TDX_NOW } from "../kinds/tdx/testing/der.ts";
import { type CollateralLies, createSoftwareIntel, platformLevel, type QuoteLies } from "../kinds/tdx/testing/intel.ts";
import { collateralOf2025, justBeforeEnd, QUOTE_OF_2025 } from "../kinds/tdx/testing/oracles.ts";
import { createSoftwareMachine } from "../kinds/tpm/testing/tpm.ts";
import { errorOf } from "../testing/evidence.ts";

const amd = await snp.createSoftwareAmd();
const intel = createSoftwareIntel();
const machine = await createSoftwareMachine();
const nothing = { images: [], identities: [], controlPlanes: [], withoutPcrs: [], ekType: "rsa2048" } as const;
/** The kinds of evidence with other trust anchors for AMD. */
const kindsTrusting = (anchors: readonly AmdAnchor[]) => [TPM, snpKind(anchors), TDX];
const amdContext: MakeContext = {
  ...{ collateral: await amd.collateral(), now: () => snp.NOW },
  kinds: kindsTrusting(amd.anchors),
};
const intelContext = (collateral?: CollateralLies): MakeContext => ({
  ...{ collateral: tdxCollateral(intel.collateral(collateral)), now: () => TDX_NOW },
  kinds: [TPM, SNP, tdxKind(intel.anchor)],
});

type Issue = (statement: Uint8Array) => Promise<Evidence>;

async function source(name: string, ...issue: readonly Issue[]): Promise<{ name: string; file: EvidenceFile }> {
  return { name, file: await issueEvidenceFile(issue.map((one) => ({ issue: one }))) };
}

const ofSnp = (lies: snp.Lies = {}, by = amd): Issue => (statement) =>
  by.evidence({ ...lies, report: { 0x50: statement, ...lies.report } });

const ofTdx = (lies: QuoteLies = {}): Issue => async (statement) => {
  const quote = await intel.quote({ reportData: concat(statement, new Uint8Array(32)), ...lies });
  return { variant: "tdx", payload: encodeTdxPayload({ quote, collateral: {} }) };
};

/** The PCRs of a fresh machine with the configuration of the SNP machines. */
const pcrs = Array.from({ length: 16 }, () => filled(32, 4)).with(12, await extendedOnce(snp.HOST_DATA)).with(
  15,
  filled(32, 0),
);
const ofTpm: Issue = (statement) => machine.issue(statement, pcrs);

function tdxCollateral(documents: TdxCollateral, fmspc = "b0c06f000000"): Collateral {
  return snp.collateralOf(Object.fromEntries(
    COLLATERAL_PARTS.map((part) => [collateralName(part, { fmspc, pckCa: "platform" }), documents[part]]),
  ));
}

const LAGGING = { 0x180: Uint8Array.of(3, 0, 0, 0, 0, 0, 8, 100), 0x1f0: Uint8Array.of(2, 0, 0, 0, 0, 0, 8, 90) };
const OLDER_KEY = { extensions: { "0308": snp.der(0x02, Uint8Array.of(100)) } };

Deno.test("makePolicy() allows the lowest TCBs and every launch digest of SNP machines, and a lagging TCB only when one lags", async () => {
  const one = await source("one", ofSnp());
  const two = await source("two", ofSnp({ report: { ...LAGGING, 0x90: filled(48, 0x3f) }, vek: OLDER_KEY }));
  const alone = await makePolicy({ ...nothing, files: [one] }, amdContext);
  const tcb = { bootloader: 3, tee: 0, snp: 8, microcode: 115 };
  assert.deepEqual(parse(alone.text), {
    version: 1,
    variant: "snp",
    snp: {
      products: { milan: { minimumTcb: tcb, minimumLaunchTcb: tcb } },
      signingKeys: ["vcek"],
      measurements: ["3e".repeat(48)],
    },
    roles: { controlPlanes: [] },
    names: { default: ["*"], byIdentity: {} },
  });
  assert.deepEqual(alone.remarks.filter((remark) => remark.includes("threads on one core")).length, 1);
  const { policy, remarks } = await makePolicy({ ...nothing, files: [one, two] }, amdContext);
  const section = snpOf(policy);
  assert.ok(section.allowsLaggingTcb);
  assert.deepEqual(section.measurements.map(hex), ["3e".repeat(48), "3f".repeat(48)]);
  assert.deepEqual(section.products.get("milan"), {
    minimumTcb: { ...tcb, microcode: 100 },
    minimumLaunchTcb: { ...tcb, bootloader: 2, microcode: 90 },
  });
  assert.ok(remarks.some((remark) => remark.startsWith("The host of two signs with the key of an older TCB")));
});

Deno.test("makePolicy() names the cloud of a VLEK, and a host that did not check for memory aliases", async () => {
  const cloud = await snp.createSoftwareAmd("turin", "vlek");
  const files = [await source("one", ofSnp({ report: { 0x40: Uint8Array.of(0) } }, cloud))];
  const context = { ...amdContext, collateral: await cloud.collateral(), kinds: kindsTrusting(cloud.anchors) };
  const { policy, remarks } = await makePolicy({ ...nothing, files }, context);
  assert.deepEqual([snpOf(policy).signingKeys, snpOf(policy).providers], [["vlek"], ["a-cloud"]]);
  assert.equal(snpOf(policy).products.get("turin")?.minimumTcb.fmc, 1);
  assert.ok(remarks.some((remark) => remark.includes("BadRAM")));
});

Deno.test("makePolicy() finds missing documents in the collateral folder, and names those that are not there", async () => {
  const files = [await source("one", ofSnp({ vekDer: new Uint8Array() }))];
  const name = `amd-vcek-${hex(snp.chipIdOf("milan"))}-${hex(snp.MILAN_TCB)}.der`;
  const all = { [name]: await amd.vek(), "amd-milan-vcek.crl": await amd.crl() };
  await makePolicy({ ...nothing, files }, { ...amdContext, collateral: snp.collateralOf(all) });
  for (const missing of Object.keys(all)) {
    const rest = Object.fromEntries(Object.entries(all).filter(([key]) => key !== missing));
    const context = { ...amdContext, collateral: snp.collateralOf(rest) };
    const error = await errorOf(() => makePolicy({ ...nothing, files }, context));
    assert.equal(error.code, "refused/snp-collateral");
    assert.deepEqual([error.details["document"], error.details["expected"]], ["one", missing]);
    assert.match(error.next, /^Get it from AMD's .*; --collateral names the folder$/);
  }
});

Deno.test("makePolicy() makes no policy that admits a debugged, migrated or unsigned SNP machine", async () => {
  const cases: readonly (readonly [snp.Lies, string])[] = [
    [{ report: { 0x08: Uint8Array.of(0, 0, 0x0b) } }, "refused/snp-debug"],
    [{ report: { 0x08: Uint8Array.of(0, 0, 0x07) } }, "refused/snp-migration-agent"],
    [{ report: { 0x30: Uint8Array.of(1) } }, "refused/snp-vmpl"],
    [{ report: { 0x48: Uint8Array.of(7 << 2) } }, "usage/policy-sources"],
    [{ report: { 0x50: filled(32, 1) } }, "refused/snp-report-data"],
    [{ vek: { signer: "self" } }, "refused/snp-certificate-signature"],
  ];
  for (const [lies, code] of cases) {
    const files = [await source("one", ofSnp(lies))];
    const error = await errorOf(() => makePolicy({ ...nothing, files }, amdContext));
    assert.equal(error.code, code);
  }
});

Deno.test("makePolicy() allows every register value, the lowest SVNs and Intel's statuses of TDs", async () => {
  const zero = filled(48, 0);
  const rtmrs = [filled(48, 0xc0), filled(48, 0xb1), filled(48, 0xc2), zero];
  const teeTcbSvn = fromHex("06010200000000000000000000000000", "SVNs");
  const one = await source("one", ofTdx());
  const same = await source("same", ofTdx({ teeTcbSvn }));
  const { text, policy } = await makePolicy({ ...nothing, files: [one, same] }, intelContext());
  assert.deepEqual(parse(text), {
    version: 1,
    variant: "tdx",
    tdx: {
      mrtd: ["a0".repeat(48)],
      rtmr0: ["b0".repeat(48)],
      rtmr1: ["b1".repeat(48)],
      rtmr2: ["b2".repeat(48)],
      tcbStatuses: ["UpToDate"],
      minimumTeeTcbSvn: "05010200000000000000000000000000",
      minimumEvaluation: 17,
    },
    roles: { controlPlanes: [] },
    names: { default: ["*"], byIdentity: {} },
  });
  assert.deepEqual(tdxOf(policy).tcbStatuses, ["UpToDate"]);
  const two = await source("two", ofTdx({ rtmrs, teeTcbSvn }));
  const varied = await makePolicy({ ...nothing, files: [one, two] }, intelContext());
  assert.equal(tdxOf(varied.policy).rtmr0, undefined);
  assert.deepEqual(tdxOf(varied.policy).rtmr2.map(hex), ["b2".repeat(48), "c2".repeat(48)]);
  assert.ok(varied.remarks.some((remark) => remark.startsWith("RTMR 0")));
});

Deno.test("makePolicy() remarks on a TD whose platform is out of date, and names a document that is missing", async () => {
  const files = [await source("one", ofTdx())];
  const old = { tcbInfo: { tcbLevels: [platformLevel("OutOfDate", 5, [5, 0, 2])], tcbEvaluationDataNumber: 16 } };
  const { policy, remarks } = await makePolicy({ ...nothing, files }, intelContext(old));
  assert.deepEqual([tdxOf(policy).tcbStatuses, tdxOf(policy).minimumEvaluation], [["UpToDate", "OutOfDate"], 16]);
  assert.ok(remarks.includes("The platform of one is OutOfDate, which tcbStatuses lets in."));
  const { collateral } = intelContext();
  const without = {
    ...collateral,
    find: (name: string) => name.includes("qe-identity.json") ? Promise.resolve(undefined) : collateral.find(name),
  };
  const error = await errorOf(() => makePolicy({ ...nothing, files }, { ...intelContext(), collateral: without }));
  assert.deepEqual([error.code, error.details["expected"]], ["refused/tdx-collateral-missing", "tdx-qe-identity.json"]);
  assert.match(error.next, /--collateral/);
});

Deno.test("makePolicy() makes one policy from two kinds of evidence, and none from machines of different kinds", async () => {
  const both = await source("both", ofTpm, ofSnp());
  const controlPlanes = [machine.identity];
  const collateral = { folder: "/c", cache: "https://example.com/c" };
  const made = await makePolicy({ ...nothing, files: [both], controlPlanes, collateral }, amdContext);
  assert.deepEqual(requiredNames(made.policy), { node: ["tpm", "snp"], init: ["tpm", "snp"] });
  assert.deepEqual(made.policy.collateral, collateral);
  assert.deepEqual([...tpmOf(made.policy).trust.identities], controlPlanes);
  const snpOnly = await source("snp", ofSnp());
  const wrong: readonly Partial<PolicySources>[] = [
    { files: [both, snpOnly] },
    { files: [both, await source("turned", ofSnp(), ofTpm)] },
    { files: [snpOnly], identities: [machine.identity] },
    { files: [snpOnly], withoutPcrs: [1] },
    { files: [await source("x", () => Promise.resolve({ variant: "sgx", payload: filled(1, 1) }))] },
  ];
  for (const sources of wrong) {
    const error = await errorOf(() => draftPolicy({ ...nothing, files: [], ...sources }, amdContext));
    assert.equal(error.code, "usage/policy-sources");
  }
});

Deno.test("makePolicyOf() makes a policy from a node's evidence only if the node satisfies it on that connection", async () => {
  const statement = filled(32, 0x5a);
  const zero = filled(32, 0);
  const expectation = { trust: [snp.HOST_DATA], lock: [FRESH], identity: NO_IDENTITY };
  const pieces = [await ofTpm(statement), await ofSnp()(statement)];
  const evidence = { variant: "tpm+snp", payload: encodeEvidenceSet(pieces) };
  const claims: (EvidenceClaims | undefined)[] = [];
  const ask = (over: Uint8Array): Parameters<typeof makePolicyOf>[3] => async (verifier) => {
    const verified = await verifier.verify(evidence, over, expectation);
    assert.ok(verified.challenge !== undefined);
    claims.push(verified.claims);
  };
  const files = [await source("a file", ofTpm, ofSnp({ report: { 0x90: filled(48, 0x3f) } }))];
  const made = await makePolicyOf("node:9443", { ...nothing, files }, amdContext, ask(statement));
  assert.deepEqual(requiredNames(made.policy).init, ["tpm", "snp"]);
  assert.deepEqual(snpOf(made.policy).measurements.map(hex), ["3f".repeat(48), "3e".repeat(48)]);
  assert.ok(made.remarks.includes("Made from a file, node:9443."));
  assert.deepEqual(claims.map((one) => one?.identity), [machine.identity]);
  const replayed = await errorOf(() => makePolicyOf("node:9443", { ...nothing, files: [] }, amdContext, ask(zero)));
  assert.equal(replayed.code, "refused/statement");
  const wrongFile = { ...nothing, files: [await source("a file", ofTpm, ofSnp({ report: { 0x50: zero } }))] };
  const error = await errorOf(() => makePolicyOf("node:9443", wrongFile, amdContext, ask(statement)));
  assert.deepEqual([error.code, error.details["document"]], ["refused/snp-report-data", "a file"]);
  const silent = await errorOf(() =>
    makePolicyOf("node:9443", { ...nothing, files: [] }, amdContext, () => Promise.resolve())
  );
  assert.equal(silent.code, "internal/policy");
});

Deno.test("draftPolicy() consults no vendor without collateral, and remarks on what it leaves open", async () => {
  const { now, kinds = KINDS } = intelContext();
  const tdx = await draftPolicy({ ...nothing, files: [await source("one", ofTdx())] }, {
    ...{ now, kinds },
  });
  assert.deepEqual([tdxOf(tdx.policy).tcbStatuses, tdxOf(tdx.policy).minimumEvaluation], [["UpToDate"], 1]);
  assert.ok(tdx.remarks.some((remark) => remark.startsWith("Intel's documents were not consulted")));
  const processor = { 0x00: Uint8Array.of(3), 0x188: Uint8Array.of(0x19, 1, 1) };
  const bare = (report: Record<number, Uint8Array>) => source("one", ofSnp({ vekDer: new Uint8Array(), report }));
  const known = await draftPolicy({ ...nothing, files: [await bare(processor)] }, { now });
  assert.deepEqual([...snpOf(known.policy).products.keys()], ["milan"]);
  const unknown = await errorOf(async () => draftPolicy({ ...nothing, files: [await bare({})] }, { now }));
  assert.equal(unknown.code, "refused/snp-collateral");
});

for (const name of ["milan", "test"] as const) {
  snp.oracleTest(`draftPolicy() allows the values of the real report of ${name}`, async (read) => {
    const report = name === "test"
      ? await read("test-report.bin")
      : fromHex(fromUtf8(await read("report_milan.hex"), "report").trim(), "report");
    const vek = await read(name === "test" ? "test-vcek.der" : "vcek_milan.der");
    const none = new Uint8Array();
    const evidence = [{ variant: "snp", payload: encodePayload({ report, vek, authority: none, crl: none }) }];
    const now = () => new Date("2024-06-01T00:00:00Z");
    const files = [{ name, file: { nonce: filled(32, 1), evidence } }];
    const section = snpOf((await draftPolicy({ ...nothing, files }, { now })).policy);
    const tcb = { bootloader: 3, tee: 0, snp: 8, microcode: 115 };
    assert.deepEqual(section.products.get("milan")?.minimumTcb, tcb);
    assert.deepEqual(section.measurements, [readReport(report).measurement]);
    assert.equal(section.allowsLaggingTcb, name === "test");
    // The evidence is over another statement than a file's.
    const error = await errorOf(() => makePolicy({ ...nothing, files }, { now, collateral: snp.collateralOf({}) }));
    assert.equal(error.code, "refused/snp-report-data");
  });
}

tdxOracleTest("draftPolicy() allows the values of a real quote of 2025 and Intel's statuses of it", async (read) => {
  const documents = await collateralOf2025(read);
  const now = () => justBeforeEnd(documents);
  const quote = readQuote(await read(QUOTE_OF_2025));
  const payload = encodeTdxPayload({ quote: quote.bytes, collateral: documents });
  const files = [{ name: "2025", file: { nonce: filled(32, 1), evidence: [{ variant: "tdx", payload }] } }];
  const made = await draftPolicy({ ...nothing, files }, { now, collateral: snp.collateralOf({}) });
  const { mrtd, rtmrs, teeTcbSvn } = quote.report;
  assert.deepEqual(tdxOf(made.policy), {
    ...{ mrtd: [mrtd], rtmr0: [rtmrs[0]], rtmr1: [rtmrs[1]], rtmr2: [rtmrs[2]] },
    ...{ tcbStatuses: ["UpToDate"], minimumTeeTcbSvn: teeTcbSvn, minimumEvaluation: 17 },
    bannedPlatforms: new Set(),
  });
  const error = await errorOf(() => makePolicy({ ...nothing, files }, { now, collateral: snp.collateralOf({}) }));
  assert.equal(error.code, "refused/tdx-report-data");
});
