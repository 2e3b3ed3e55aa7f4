import assert from "node:assert/strict";
import type { Bytes } from "../../../platform/bytes.ts";
import { concat, fromHex } from "../../../platform/bytes.ts";
import { filled } from "./testing/tdx.ts";
import { errorOf } from "../../testing/evidence.ts";
import { createKey, NOW } from "./testing/der.ts";
import { isvLevel, moduleIdentity, platformLevel, type QuoteLies } from "./testing/intel.ts";
import { type Case, D12, intel, NO_MODULES, PPID, rtmrsBut, STATEMENT, svns, verify } from "./testing/verifying.ts";

const stranger = createKey();

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

function chainBut(pck = intel.certificate("pck"), issuer = intel.certificate("issuer")): QuoteLies {
  return { chain: [pck, issuer, intel.anchor.der] };
}

function signerIs(certificate: Bytes): Case {
  return { collateral: { chain: [certificate, intel.anchor.der] } };
}

function ago(seconds: number): Date {
  return new Date(NOW.getTime() - seconds * 1000);
}
