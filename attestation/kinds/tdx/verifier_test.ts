import assert from "node:assert/strict";
import type { Bytes } from "../../../platform/bytes.ts";
import { concat, fromHex, hex, utf8 } from "../../../platform/bytes.ts";
import type { Collateral } from "../../collateral.ts";
import { collateralAtHand, CollateralWanted } from "../../collateral_wanted.ts";
import type { EvidenceCheck, Expectation } from "../../evidence.ts";
import { FRESH } from "../../evidence.ts";
import { collateralName, type TdxCollateral } from "./collateral.ts";
import { encodeTdxPayload } from "./payload.ts";
import type { TdxPolicy } from "./policy.ts";
import { extendedRtmr, padded } from "./rtmr.ts";
import { filled } from "./testing/tdx.ts";
import { errorOf } from "../../testing/evidence.ts";
import { createKey, NOW } from "./testing/der.ts";
import {
  type CollateralLies,
  createSoftwareIntel,
  isvLevel,
  moduleIdentity,
  platformLevel,
  type QuoteLies,
} from "./testing/intel.ts";
import { readPolicy } from "../../policy/policy.ts";
import { tdxOf } from "../../testing/sections.ts";
import { createTdxVerifier } from "./verifier.ts";

const intel = createSoftwareIntel();
const stranger = createKey();
const STATEMENT = filled(32, 0xa1);
const D12 = filled(32, 0x12);
const D15 = filled(32, 0x15);
const IDENTITY = "1d".repeat(32);
const PPID = "11".repeat(16);
const expectation: Expectation = {
  trust: [D12],
  lock: [FRESH],
  identity: IDENTITY,
};
const policy: TdxPolicy = {
  mrtd: [filled(48, 0xa0)],
  rtmr0: [filled(48, 0xb0)],
  rtmr1: [filled(48, 0xff), filled(48, 0xb1)],
  rtmr2: [filled(48, 0xb2)],
  tcbStatuses: ["UpToDate"],
  minimumTeeTcbSvn: filled(16, 0),
  minimumEvaluation: 0,
  bannedPlatforms: new Set(),
};
const rightQuote: QuoteLies = {
  reportData: concat(STATEMENT, new Uint8Array(32)),
  mrConfigId: padded(D12),
};
const nowhere: Collateral = { place: "nowhere", find: () => Promise.resolve(undefined) };

/** The differences from valid evidence. */
interface Case {
  readonly quote?: QuoteLies;
  readonly collateral?: CollateralLies;
  readonly own?: (collateral: TdxCollateral) => Partial<TdxCollateral>;
  readonly policy?: Partial<TdxPolicy>;
  readonly expectation?: Partial<Expectation>;
  readonly statement?: Bytes;
  readonly now?: Date;
  readonly report?: (check: EvidenceCheck) => void;
}

async function verify(different: Case = {}) {
  const quote = await intel.quote({ ...rightQuote, ...different.quote });
  const { own = (all) => all, now = NOW, report, statement = STATEMENT } = different;
  const payload = encodeTdxPayload({ quote, collateral: own(intel.collateral(different.collateral)) });
  const verifier = createTdxVerifier({ ...policy, ...different.policy }, nowhere, () => now, intel.anchor);
  return await verifier.verify(
    { variant: "tdx", payload },
    statement,
    { ...expectation, ...different.expectation },
    report,
  );
}

function svns(hexadecimal: string): Bytes {
  return fromHex(hexadecimal.padEnd(32, "0"), "SVNs");
}

Deno.test("createTdxVerifier() accepts valid evidence of every form", async () => {
  for (const form of ["4", "5-10", "5-15"] as const) {
    const { claims, challenge } = await verify({ quote: { form } });
    assert.equal(challenge, undefined);
    assert.deepEqual(
      { ...claims, facts: { ...claims.facts } },
      {
        variant: "tdx",
        identity: IDENTITY,
        fresh: true,
        isEphemeral: true,
        facts: {
          mrtd: "a0".repeat(48),
          rtmr0: "b0".repeat(48),
          rtmr1: "b1".repeat(48),
          rtmr2: "b2".repeat(48),
          rtmr3: "00".repeat(48),
          teeTcbSvn: hex(svns("050102")),
          tcbStatus: "UpToDate",
          advisories: "",
          evaluation: "17",
          ppid: PPID,
          fmspc: "b0c06f000000",
        },
      },
    );
  }
});

Deno.test("createTdxVerifier() accepts a locked TD when the lock is expected, and says that it is not fresh", async () => {
  const [zero, locked] = [filled(48, 0), await extendedRtmr(D15)];
  const rtmrs = [filled(48, 0xb0), filled(48, 0xb1), filled(48, 0xb2), locked];
  const { claims } = await verify({ quote: { rtmrs }, expectation: { lock: [FRESH, D15] } });
  assert.equal(claims.fresh, false);
  for (const [seen, lock] of [[locked, [FRESH]], [zero, [D15]], [padded(D15), [D15]]] as const) {
    const error = await errorOf(() =>
      verify({ quote: { rtmrs: [...rtmrs.slice(0, 3), seen] }, expectation: { lock } })
    );
    assert.equal(error.code, "refused/tdx-rtmr-3");
  }
});

const NO_MODULES = { tcbInfo: { tdxModuleIdentities: [] } };
const zeroMasked = { mrsigner: "00".repeat(48), attributes: "00".repeat(8), attributesMask: "FF".repeat(8) };
const rtmrsBut = (index: number) => [0xb0, 0xb1, 0xb2, 0].map((value, i) => filled(48, i === index ? 0xee : value));

const REFUSED: Readonly<Record<string, readonly [name: string, different: Case][]>> = {
  "tdx-quote-signature": [["by another key", { quote: { attestationSigner: stranger } }]],
  "tdx-qe-report-data": [
    ["a QE that vouches for another key", { quote: { qeReportData: filled(64, 1) } }],
    ["a QE whose report data is not zero after the digest", {
      quote: { qeReportData: concat(filled(32, 1), filled(32, 1)) },
    }],
  ],
  "tdx-qe-signature": [["a QE's report by another key", { quote: { qeSigner: stranger } }]],
  "tdx-root": [
    ["another root in the quote", {
      quote: {
        chain: [
          intel.certificate("pck"),
          intel.certificate("issuer", { signer: stranger }),
          intel.certificate("root", { key: stranger, signer: stranger }),
        ],
      },
    }],
    ["another root in the issuer chain", {
      collateral: {
        chain: [
          intel.certificate("signer", { signer: stranger }),
          intel.certificate("root", { key: stranger, signer: stranger }),
        ],
      },
    }],
  ],
  "tdx-certificate-signature": [
    ["a PCK by another key", { quote: chainBut(intel.certificate("pck", { signer: stranger })) }],
    ["a PCK issuer by another key", { quote: chainBut(undefined, intel.certificate("issuer", { signer: stranger })) }],
    ["a TCB signer by another key", signerIs(intel.certificate("signer", { signer: stranger }))],
  ],
  "tdx-certificate-subject": [
    ["a PCK under the TCB signer", {
      quote: chainBut(
        intel.certificate("pck", { signer: intel.keys.signer, issuer: "Intel SGX TCB Signing" }),
        intel.certificate("signer"),
      ),
    }],
    ["the PCK issuer as TCB signer", signerIs(intel.certificate("issuer"))],
    ["another name for the PCK", { quote: chainBut(intel.certificate("pck", { name: "Intel SGX PCK" })) }],
  ],
  "tdx-certificate-issuer": [
    ["a PCK as TCB signer", signerIs(intel.certificate("pck", { name: "Intel SGX TCB Signing" }))],
  ],
  "tdx-certificate-constraints": [
    ["a PCK issuer that is no CA", { quote: chainBut(undefined, intel.certificate("issuer", { isCa: false })) }],
    ["a PCK that is a CA", { quote: chainBut(intel.certificate("pck", { isCa: true })) }],
    ["a TCB signer that is a CA", signerIs(intel.certificate("signer", { isCa: true }))],
  ],
  "tdx-certificate-validity": [
    ["a PCK that has expired", { quote: chainBut(intel.certificate("pck", { notAfter: ago(1) })) }],
    ["a PCK issuer that has expired", {
      quote: chainBut(undefined, intel.certificate("issuer", { notAfter: ago(1) })),
    }],
    ["a TCB signer that has expired", signerIs(intel.certificate("signer", { notAfter: ago(1) }))],
  ],
  "tdx-certificate-revoked": [
    ["a PCK on the list", { collateral: { pckRevoked: [9, 3] } }],
    ["a PCK issuer on the list", { collateral: { rootRevoked: [2] } }],
    ["a TCB signer on the list", { collateral: { rootRevoked: [4] } }],
  ],
  "tdx-crl-signature": [
    ["a PCK list by another key", { collateral: { pckCrlSigner: stranger } }],
    ["a root list by another key", { collateral: { rootCrlSigner: stranger } }],
  ],
  "tdx-crl-validity": [["a PCK list that has expired", { collateral: { pckCrlEnd: ago(1) } }]],
  "tdx-crl-issuer": [
    ["the root's list for the PCK's", { own: (all) => ({ ...all, pckCrl: all.rootCrl }) }],
    ["the PCK's list for the root's", { own: (all) => ({ ...all, rootCrl: all.pckCrl }) }],
  ],
  "tdx-tcb-info-signature": [["documents by another key", { collateral: { signer: stranger } }]],
  "tdx-qe-identity-signature": [["QE identity by another key", {
    own: (all) => ({ ...all, qeIdentity: intel.collateral({ signer: stranger }).qeIdentity }),
  }]],
  "tdx-tcb-info-date": [
    ["TCB info that has expired", { collateral: { tcbInfo: { nextUpdate: "2026-04-30T23:59:59Z" } } }],
    ["TCB info of tomorrow", { collateral: { tcbInfo: { issueDate: "2026-05-02T00:00:00Z" } } }],
  ],
  "tdx-qe-identity-date": [
    ["QE identity that has expired", { collateral: { qeIdentity: { nextUpdate: "2026-04-30T23:59:59Z" } } }],
    ["QE identity of tomorrow", { collateral: { qeIdentity: { issueDate: "2026-05-02T00:00:00Z" } } }],
  ],
  "tdx-fmspc": [["TCB info of other platforms", { collateral: { tcbInfo: { fmspc: "B0C06F000001" } } }]],
  "tdx-pce-id": [["TCB info of another PCE", { collateral: { tcbInfo: { pceId: "0001" } } }]],
  "tdx-tcb-level": [
    ["a microcode SVN below every level", { quote: { teeTcbSvn: svns("050101") } }],
    ["a PCE SVN below every level", {
      collateral: { tcbInfo: { tcbLevels: [platformLevel("UpToDate", 12, [5, 0, 2])] } },
    }],
    ["a module of version 0 below every level", { quote: { teeTcbSvn: svns("040002") } }],
    ["a current microcode SVN below every level", { quote: { form: "5-15", currentTcbSvn: svns("050101") } }],
  ],
  "tdx-module-version": [
    ["a module that Intel does not know", { quote: { teeTcbSvn: svns("050302") } }],
    ["TCB info that names no modules", { collateral: NO_MODULES }],
  ],
  "tdx-module-level": [["a module below every level", { quote: { teeTcbSvn: svns("010102") } }]],
  "tdx-module-signer": [
    ["a module of another signer", { quote: { mrSignerSeam: filled(48, 1) } }],
    ["a module of version 0 of another signer", {
      quote: { teeTcbSvn: svns("050002"), mrSignerSeam: filled(48, 1) },
    }],
    ["a module whose version has a signer of its own", {
      collateral: {
        tcbInfo: {
          tdxModuleIdentities: [moduleIdentity("TDX_01", [isvLevel(1, "UpToDate")], { mrsigner: "01".repeat(48) })],
        },
      },
    }],
  ],
  "tdx-module-attributes": [["a module with attributes", { quote: { seamAttributes: filled(8, 1) } }]],
  "tdx-qe-miscselect": [["a QE with another MISCSELECT", { quote: { miscSelect: filled(4, 1) } }]],
  "tdx-qe-attributes": [
    ["a QE under debug", { quote: { qeAttributes: fromHex("1700000000000000e700000000000000", "attributes") } }],
  ],
  "tdx-qe-signer": [["a QE of another signer", { quote: { qeMrSigner: filled(32, 1) } }]],
  "tdx-qe-product": [["another enclave of Intel's", { quote: { qeProduct: 1 } }]],
  "tdx-qe-level": [["a QE below every level", { quote: { qeSvn: 1 } }]],
  "tdx-tcb-status": [
    ["a platform that is out of date", {
      collateral: { tcbInfo: { tcbLevels: [platformLevel("OutOfDate", 5, [5, 0, 2])] } },
    }],
    ["a module that is out of date", { quote: { teeTcbSvn: svns("030102") } }],
    ["a current module that is out of date", { quote: { form: "5-15", currentTcbSvn: svns("030102") } }],
    ["a QE that is out of date", { quote: { qeSvn: 3 } }],
    ["a revoked QE under a policy that allows every other state", {
      collateral: { qeIdentity: { tcbLevels: [isvLevel(4, "Revoked")] } },
      policy: {
        tcbStatuses: [
          "UpToDate",
          "SWHardeningNeeded",
          "ConfigurationNeeded",
          "ConfigurationAndSWHardeningNeeded",
          "OutOfDate",
          "OutOfDateConfigurationNeeded",
        ],
      },
    }],
    ["a platform that needs configuration under a module that is out of date, where each alone is allowed", {
      quote: { teeTcbSvn: svns("030102") },
      collateral: { tcbInfo: { tcbLevels: [platformLevel("ConfigurationNeeded", 5, [5, 0, 2])] } },
      policy: { tcbStatuses: ["UpToDate", "ConfigurationNeeded", "OutOfDate"] },
    }],
  ],
  "tdx-tcb-minimum": [
    ["a module below the minimum", { policy: { minimumTeeTcbSvn: svns("060102") } }],
    ["a module of an earlier version than the minimum", { policy: { minimumTeeTcbSvn: svns("010202") } }],
    ["a microcode below the minimum", { policy: { minimumTeeTcbSvn: svns("050103") } }],
  ],
  "tdx-tcb-evaluation": [
    ["an evaluation below the minimum", { policy: { minimumEvaluation: 18 } }],
    ["a QE identity of an earlier evaluation", {
      collateral: { qeIdentity: { tcbEvaluationDataNumber: 16 } },
      policy: { minimumEvaluation: 17 },
    }],
  ],
  "tdx-banned-platform": [["a banned platform", { policy: { bannedPlatforms: new Set([PPID]) } }]],
  "tdx-platform": [["a platform that is not the policy's", { policy: { platforms: new Set(["22".repeat(16)]) } }]],
  "tdx-debug": [
    ["a TD under debug", { quote: { tdAttributes: 1n << 28n | 1n } }],
    ["a TD under profiling", { quote: { tdAttributes: 1n << 28n | 1n << 5n } }],
  ],
  "tdx-sept-ve-disable": [
    ["a TD without SEPT_VE_DISABLE", { quote: { tdAttributes: 0n } }],
    ["a TD with PKS only", { quote: { tdAttributes: 1n << 30n } }],
  ],
  "tdx-attributes": [
    ["a TD that is migratable", { quote: { tdAttributes: 1n << 28n | 1n << 29n } }],
    ["a TD that is a provisioning agent", { quote: { tdAttributes: 1n << 28n | 1n << 62n } }],
    ["a TD with an attribute without a name that may weaken it", { quote: { tdAttributes: 1n << 28n | 1n << 24n } }],
    ["an attribute that the policy forbids", {
      quote: { tdAttributes: 1n << 28n | 1n << 40n },
      policy: { attributes: { required: [], forbidden: [40] } },
    }],
    ["an attribute that the policy does not allow", {
      quote: { tdAttributes: 1n << 28n | 1n << 40n | 1n << 63n },
      policy: { attributes: { required: [], forbidden: [], allowed: ["perfmon"] } },
    }],
  ],
  "tdx-xfam": [
    ["a TD without SSE", { quote: { xfam: 1n } }],
    ["a feature that the policy forbids", {
      quote: { xfam: 3n | 1n << 40n },
      policy: { xfam: { required: [], forbidden: [40] } },
    }],
    ["a feature that the policy does not allow", {
      quote: { xfam: 3n | 1n << 40n },
      policy: { xfam: { required: [], forbidden: [], allowed: ["avx"] } },
    }],
  ],
  "tdx-service-td": [["a TD with a service TD", { quote: { form: "5-15", mrServiceTd: filled(48, 1) } }]],
  "tdx-report-data": [
    ["another connection's statement", { statement: filled(32, 0xa2) }],
    ["report data with more bytes after the statement", { quote: { reportData: concat(STATEMENT, filled(32, 1)) } }],
    ["report data of zero", { quote: { reportData: filled(64, 0) } }],
  ],
  "tdx-mrconfigid": [
    ["another trust part", { expectation: { trust: [filled(32, 0x13)] } }],
    ["a MRCONFIGID with more bytes after the digest", { quote: { mrConfigId: concat(D12, filled(16, 1)) } }],
    ["a MRCONFIGID of zero", { quote: { mrConfigId: filled(48, 0) } }],
  ],
  "tdx-rtmr-3": [["a register that another program extended", { quote: { rtmrs: rtmrsBut(3) } }]],
  "tdx-mrtd": [
    ["another firmware", { quote: { mrtd: filled(48, 1) } }],
    ["a policy without a firmware", { policy: { mrtd: [] } }],
  ],
  "tdx-rtmr-0": [["another shape", { quote: { rtmrs: rtmrsBut(0) } }]],
  "tdx-rtmr-1": [["another kernel", { quote: { rtmrs: rtmrsBut(1) } }]],
  "tdx-rtmr-2": [["other arguments", { quote: { rtmrs: rtmrsBut(2) } }]],
  "tdx-collateral-missing": [["no documents of Intel's", { own: () => ({}) }]],
};

for (const [check, cases] of Object.entries(REFUSED)) {
  for (const [name, different] of cases) {
    Deno.test(`createTdxVerifier() refuses ${name} as ${check}`, async () => {
      const error = await errorOf(() => verify(different));
      assert.equal(error.code, `refused/${check}`);
      assert.equal(error.details.check, check);
      assert.ok(error.details.expected !== undefined && error.details.seen !== undefined);
      if (check === "tdx-collateral-missing") return;
      const seen: string[] = [];
      const reported = await errorOf(() =>
        verify({ ...different, report: (one) => one.passed ? undefined : seen.push(one.check) })
      );
      assert.equal(reported.code, error.code, "the verdict is the same with a listener");
      assert.equal(seen[0], check);
    });
  }
}

Deno.test("createTdxVerifier() accepts signed bits without a name, and shows them", async () => {
  const quote = { tdAttributes: 1n << 28n | 1n << 40n, xfam: 3n | 1n << 40n | 1n << 19n };
  const { claims } = await verify({ quote });
  assert.match(claims.remarks?.join() ?? "", /attribute bit 40, extended feature bit 19, extended feature bit 40/);
  assert.equal((await verify({})).claims.remarks, undefined);
  const told = { required: [], forbidden: [], allowed: ["septVeDisable" as const, 24] };
  await verify({ quote: { tdAttributes: 1n << 28n | 1n << 24n }, policy: { attributes: told } });
  const untold = await errorOf(() => verify({ quote: { tdAttributes: 1n << 28n | 1n << 24n } }));
  assert.match(`${untold.message} ${untold.next}`, /bit 24.*tdx\.attributes\.allowed/);
});

Deno.test("readPolicy() allows no attribute that is always refused", async () => {
  const text = await Deno.readTextFile(new URL("../../../deploy/policy-tdx.example.yaml", import.meta.url));
  const withAttributes = (rules: string) =>
    readPolicy(text.replace(/^ {2}attributes:\n(?: {4}.*\n)+/m, `  attributes: ${rules}\n`), "it");
  assert.deepEqual(tdxOf(withAttributes("{ allowed: [28, 40] }")).attributes, {
    required: [],
    forbidden: [],
    allowed: ["septVeDisable", 40],
  });
  for (const rules of ["{ forbidden: [septVeDisable] }", "{ forbidden: [28] }"]) {
    assert.match((await errorOf(() => withAttributes(rules))).message, /every TD is refused/, rules);
  }
  const xfam = () => readPolicy(text.replace(/^tdx:\n/m, "tdx:\n  xfam: { forbidden: [sse] }\n"), "it");
  assert.match((await errorOf(xfam)).message, /tdx\.xfam: forbids x87 or sse/);
  for (const rules of ["{ allowed: [0] }", "{ required: [7] }", "{ allowed: [29] }", "{ allowed: [tpa] }"]) {
    assert.match((await errorOf(() => withAttributes(rules))).message, /tdx\.attributes: .*always refused/, rules);
  }
});

Deno.test("createTdxVerifier() reports every check of valid evidence", async () => {
  const checks: EvidenceCheck[] = [];
  await verify({ report: (check) => checks.push(check) });
  assert.ok(checks.every(({ passed }) => passed));
  const names = checks.map(({ check }) => check);
  assert.equal(new Set(names).size, names.length);
  assert.ok(
    ["tdx-revocation", "tdx-tcb-status", "tdx-report-data", "tdx-rtmr-2"].every((name) => names.includes(name)),
  );
});

Deno.test("createTdxVerifier() continues after a refusal when there is a listener", async () => {
  const failed: string[] = [];
  const different = { quote: { tdAttributes: 1n, mrtd: filled(48, 1), rtmrs: rtmrsBut(2) } };
  const error = await errorOf(() =>
    verify({ ...different, report: ({ check, passed }) => void (passed || failed.push(check)) })
  );
  assert.equal(error.code, "refused/tdx-debug");
  assert.deepEqual(failed, ["tdx-debug", "tdx-sept-ve-disable", "tdx-mrtd", "tdx-rtmr-2"]);
});

Deno.test("createTdxVerifier() takes a quote for another exchange for nothing that the vendor says of the peer", async () => {
  const { vendorChecks } = createTdxVerifier(policy, nowhere, () => NOW, intel.anchor);
  const vouched = async (quote: QuoteLies) => {
    const passed: string[] = [];
    const report = (one: EvidenceCheck) => void (one.passed && passed.push(one.check));
    await errorOf(() => verify({ quote: { mrtd: filled(48, 1), ...quote }, report }));
    return vendorChecks?.every((check) => passed.includes(check));
  };
  assert.deepEqual([await vouched({}), await vouched({ reportData: filled(64, 1) })], [true, false]);
});

Deno.test("createTdxVerifier() accepts states that a policy allows beyond the default", async () => {
  await verify({ quote: { qeSvn: 3 }, policy: { tcbStatuses: ["UpToDate", "OutOfDate"] } });
  await verify({ policy: { platforms: new Set([PPID]), minimumTeeTcbSvn: svns("050102"), minimumEvaluation: 17 } });
  await verify({ quote: { teeTcbSvn: svns("050002") }, collateral: NO_MODULES });
  await verify({ collateral: { tcbInfo: { tdxModule: { ...zeroMasked, attributesMask: "00".repeat(8) } } } });
  const { rtmr0: _, ...withoutRtmr0 } = policy;
  const quote = await intel.quote({ ...rightQuote, rtmrs: rtmrsBut(0) });
  const payload = encodeTdxPayload({ quote, collateral: intel.collateral() });
  await createTdxVerifier(withoutRtmr0, nowhere, () => NOW, intel.anchor)
    .verify({ variant: "tdx", payload }, STATEMENT, expectation);
});

Deno.test("createTdxVerifier() skips the module's two SVNs in platform levels from version 1 on", async () => {
  // SVN 4 of version 1 is below 5 in the platform's level, but that number applies to version 0 only.
  await verify({ quote: { teeTcbSvn: svns("040102") } });
});

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

Deno.test("createTdxVerifier() refuses other variants, bytes after the quote, and garbage", async () => {
  const verifier = createTdxVerifier(policy, nowhere, () => NOW, intel.anchor);
  const quote = await intel.quote({ ...rightQuote, trailing: filled(1, 0) });
  const payload = encodeTdxPayload({ quote, collateral: intel.collateral() });
  const codeOf = async (variant: string, bytes: Bytes) =>
    (await errorOf(() => verifier.verify({ variant, payload: bytes }, STATEMENT, expectation))).code;
  assert.equal(await codeOf("tpm", payload), "refused/variant");
  assert.equal(await codeOf("tdx", payload), "malformed/tdx-evidence");
  assert.equal(await codeOf("tdx", new Uint8Array()), "malformed/tdx-evidence");
  assert.equal(await codeOf("tdx", utf8("\x02\x00")), "malformed/evidence-version");
});

Deno.test("createTdxVerifier() does not trust a software root unless a test passes it", async () => {
  const payload = encodeTdxPayload({ quote: await intel.quote(rightQuote), collateral: intel.collateral() });
  const verifier = createTdxVerifier(policy, nowhere, () => NOW);
  const error = await errorOf(() => verifier.verify({ variant: "tdx", payload }, STATEMENT, expectation));
  assert.equal(error.code, "refused/tdx-root");
});

Deno.test("createTdxVerifier() refuses to verify when an expectation is missing or malformed", async () => {
  const short = filled(31, 1);
  for (
    const different of [
      { statement: short },
      { expectation: { trust: [] } },
      { expectation: { trust: [short] } },
      { expectation: { lock: [] } },
      { expectation: { lock: [FRESH, short] } },
      { expectation: { identity: "" } },
      { expectation: { identity: "1D".repeat(32) } },
    ] satisfies Case[]
  ) {
    assert.equal((await errorOf(() => verify(different))).code, "internal/expectation");
  }
});

function chainBut(pck = intel.certificate("pck"), issuer = intel.certificate("issuer")): QuoteLies {
  return { chain: [pck, issuer, intel.anchor.der] };
}

function signerIs(certificate: Bytes): Case {
  return { collateral: { chain: [certificate, intel.anchor.der] } };
}

function ago(seconds: number): Date {
  return new Date(NOW.getTime() - seconds * 1000);
}

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
