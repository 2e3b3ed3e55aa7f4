/**
 * Attacks that a policy is meant to stop, against verifiers that do not enforce it: a value never reaches its check, or
 * a value is omitted and its check is skipped.
 *
 * @module
 */
import { TPM_SETTINGS } from "../../../attestation/testing/trust.ts";
import { FRESH, NO_IDENTITY } from "../../../attestation/evidence.ts";
import assert from "node:assert/strict";
import type { EvidenceVerifier } from "../../../attestation/evidence.ts";
import { SNP } from "../../../attestation/kinds/snp/kind.ts";
import { TDX } from "../../../attestation/kinds/tdx/kind.ts";
import { TPM } from "../../../attestation/kinds/tpm/kind.ts";
import { readPolicy, sectionOf } from "../../../attestation/policy/policy.ts";
import { snpOf } from "../../../attestation/testing/sections.ts";
import { collateralOf, createSoftwareAmd, NOW as AMD_NOW } from "../../../attestation/kinds/snp/testing/snp.ts";
import { appraise } from "../../../attestation/kinds/snp/appraisal.ts";
import { createSnpVerifier } from "../../../attestation/kinds/snp/verifier.ts";
import { NOW as INTEL_NOW } from "../../../attestation/kinds/tdx/testing/der.ts";
import { createTdxVerifier, verifyTdx } from "../../../attestation/kinds/tdx/verifier.ts";
import { createTpmVerifier } from "../../../attestation/kinds/tpm/verifier.ts";
import { trustDigest } from "../../../protocol/transcript.ts";
import { measureTrust } from "../../../nodelock/measure.ts";
import { attack } from "./stopped_by.ts";
import { AMD, INTEL, NOWHERE, startSnpMachine, startTdxMachine, VARIANTS, variantTest } from "./variants.ts";
import type { VariantMachine } from "./variants.ts";

const STATEMENT = new Uint8Array(32).fill(7);
const TRUST = { clusterName: "demo", clusterId: new Uint8Array(), operatorKeys: [new Uint8Array(44)], ...TPM_SETTINGS };
const OTHER = "ee";

/** A section of a policy document. */
type Section = Readonly<Record<string, unknown>>;

/** A change of a section, the check that must detect it, and a preparation that makes the change visible. */
type Change = readonly [change: Section, check: string, prepare?: () => void];

function documentOf(name: string, section: Section): string {
  return JSON.stringify({ version: 1, variant: name, [name]: section });
}

async function verdict(verifier: EvidenceVerifier, machine: VariantMachine): Promise<string> {
  const expectation = { trust: [await trustDigest(TRUST)], lock: [FRESH], identity: "1d".repeat(32) };
  const evidence = await machine.issuer.issue(STATEMENT);
  try {
    await verifier.verify(evidence, STATEMENT, expectation);
    return "accepted";
  } catch (error) {
    return String((error as { code?: unknown }).code);
  }
}

/** A verifier made from a policy document, with software vendors. */
async function verifierBy(text: string): Promise<EvidenceVerifier> {
  const policy = readPolicy(text, "the policy");
  const [tpm, snp, tdx] = [sectionOf(policy, TPM), sectionOf(policy, SNP), sectionOf(policy, TDX)];
  if (tpm !== undefined) return createTpmVerifier(tpm, () => new Date());
  if (snp !== undefined) {
    return createSnpVerifier(snp, collateralOf({ "amd-milan-vcek.crl": await AMD.crl() }), () => AMD_NOW, AMD.anchors);
  }
  assert.ok(tdx !== undefined);
  return createTdxVerifier(tdx, NOWHERE, () => INTEL_NOW, INTEL.anchor);
}

/** Asserts that each value of a section is checked, and that each has a row here. */
async function eachValueCounts(
  t: Deno.TestContext,
  machine: VariantMachine,
  name: "tpm" | "snp" | "tdx",
  section: Section,
  changes: Readonly<Record<string, readonly Change[]>>,
): Promise<void> {
  await measureTrust(machine.issuer, TRUST);
  assert.equal(await verdict(await verifierBy(documentOf(name, section)), machine), "accepted");
  const keys = Object.keys(readPolicy(documentOf(name, section), "the policy").sections.get(name) ?? {});
  assert.deepEqual(keys.sort(), Object.keys(changes).sort(), "a key of the policy has no row here");
  for (const [key, rows] of Object.entries(changes)) {
    for (const [change, check, prepare] of rows) {
      await t.step(`${key}: ${check}`, async () => {
        prepare?.();
        const code = await verdict(await verifierBy(documentOf(name, { ...section, ...change })), machine);
        assert.equal(code, check === "accepted" ? check : `refused/${check}`);
      });
    }
  }
}

/** Asserts which keys of a section may be omitted, and that no value may be empty except a list of bans. */
async function nothingIsNil(
  t: Deno.TestContext,
  name: "tpm" | "snp" | "tdx",
  section: Section,
  optional: readonly string[],
): Promise<void> {
  const isRefused = (document: string) => {
    assert.throws(() => readPolicy(document, "the policy"), { code: "usage/document" });
  };
  await t.step("the whole section", () => isRefused(JSON.stringify({ version: 1, variant: name })));
  for (const key of Object.keys(section)) {
    await t.step(key, () => {
      const { [key]: _left, ...rest } = section;
      if (optional.includes(key)) readPolicy(documentOf(name, rest), "the policy");
      else isRefused(documentOf(name, rest));
      isRefused(documentOf(name, { ...section, [key]: null }));
      isRefused(documentOf(name, { ...section, [key]: "" }));
      if (Array.isArray(section[key]) && !key.startsWith("banned")) {
        isRefused(documentOf(name, { ...section, [key]: [] }));
      }
    });
  }
}

const TDX_SECTION: Section = {
  ...{ mrtd: ["a0".repeat(48)], rtmr0: ["b0".repeat(48)], rtmr1: ["b1".repeat(48)], rtmr2: ["b2".repeat(48)] },
  ...{ tcbStatuses: ["UpToDate"], minimumTeeTcbSvn: "00".repeat(16), minimumEvaluation: 1 },
};

const tdxNeverCopied = attack(
  "attack: verifier omission, a TDX value that is never copied into the policy (CVE-2026-92701)",
  verifyTdx,
);
Deno.test(tdxNeverCopied, async (t) => {
  // The document has the value, but the check never gets it. The schema makes TdxPolicy, and verifyTdx() reads it. A
  // key without a row here fails this test.
  const machine = startTdxMachine();
  const register = OTHER.repeat(48);
  const bits = { attributes: { forbidden: ["perfmon"] }, xfam: { forbidden: [40] } };
  await eachValueCounts(t, machine, "tdx", { ...TDX_SECTION, ...bits, platforms: [machine.hardware] }, {
    attributes: [[{ attributes: { required: ["perfmon"] } }, "tdx-attributes"]],
    xfam: [[{ xfam: { required: [40] } }, "tdx-xfam"]],
    mrtd: [[{ mrtd: [register] }, "tdx-mrtd"]],
    rtmr0: [[{ rtmr0: [register] }, "tdx-rtmr-0"]],
    rtmr1: [[{ rtmr1: [register] }, "tdx-rtmr-1"]],
    rtmr2: [[{ rtmr2: [register] }, "tdx-rtmr-2"]],
    tcbStatuses: [[{ tcbStatuses: ["SWHardeningNeeded"] }, "tdx-tcb-status"]],
    minimumTeeTcbSvn: [[{ minimumTeeTcbSvn: "ff".repeat(16) }, "tdx-tcb-minimum"]],
    minimumEvaluation: [[{ minimumEvaluation: 18 }, "tdx-tcb-evaluation"]],
    platforms: [[{ platforms: [OTHER.repeat(16)] }, "tdx-platform"]],
    bannedPlatforms: [[{ bannedPlatforms: [machine.hardware] }, "tdx-banned-platform"]],
  });
});

const TCB = { bootloader: 3, tee: 0, snp: 8, microcode: 115 };
const SNP_SECTION: Section = {
  products: { milan: { minimumTcb: TCB, minimumLaunchTcb: TCB } },
  measurements: ["3e".repeat(48)],
};

const snpNeverCopied = attack(
  "attack: verifier omission, an SEV-SNP value that is never copied into the policy",
  appraise,
);
Deno.test(snpNeverCopied, async (t) => {
  // As in CVE-2026-92701. The schema makes SnpPolicy, and appraise() reads it.
  const machine = await startSnpMachine();
  const key = OTHER.repeat(48);
  const newer = { ...TCB, microcode: 116 };
  const milan = { minimumTcb: TCB, minimumLaunchTcb: TCB };
  // A host during an update: the running version is newer than the signing one.
  const lags = () => {
    machine.fields[0x38] = Uint8Array.of(3, 0, 0, 0, 0, 0, 8, 116);
  };
  await eachValueCounts(t, machine, "snp", { ...SNP_SECTION, chipIds: [machine.hardware] }, {
    products: [
      [{ products: { genoa: milan } }, "snp-product"],
      [{ products: { milan: { ...milan, minimumTcb: newer } } }, "snp-minimum-tcb"],
      [{ products: { milan: { ...milan, minimumLaunchTcb: newer } } }, "snp-launch-tcb"],
    ],
    signingKeys: [[{ signingKeys: ["vlek"], providers: ["a-cloud"] }, "snp-signing-key"]],
    measurements: [[{ measurements: [key] }, "snp-measurement"]],
    guestPolicy: [
      [{ guestPolicy: { required: ["cxl"] } }, "snp-guest-policy"],
      [{ guestPolicy: { forbidden: ["smt"] } }, "snp-guest-policy"],
    ],
    platformInfo: [
      [{ platformInfo: { required: ["tio"] } }, "snp-platform-info"],
      [{ platformInfo: { forbidden: ["smt"] } }, "snp-platform-info"],
    ],
    chipIds: [[{ chipIds: [OTHER.repeat(64)] }, "snp-chip-id"]],
    bannedChipIds: [[{ bannedChipIds: [machine.hardware] }, "snp-banned-chip-id"]],
    // Only a VLEK names a cloud provider; the next test covers it.
    providers: [],
    allowsLaggingTcb: [
      [{ allowsLaggingTcb: false }, "snp-lagging-tcb", lags],
      [{ allowsLaggingTcb: true }, "accepted", lags],
    ],
    requiresZeroReserved: [
      [{ requiresZeroReserved: true, allowsLaggingTcb: true }, "snp-reserved", () => {
        machine.fields[0x208] = Uint8Array.of(1);
      }],
    ],
  });
  await t.step("idKeys: snp-id-key", async () => {
    const verifier = await verifierBy(documentOf("snp", { ...SNP_SECTION, allowsLaggingTcb: true, idKeys: [key] }));
    assert.equal(await verdict(verifier, machine), "refused/snp-id-key");
  });
  await t.step("authorKeys: snp-author-key", async () => {
    const verifier = await verifierBy(documentOf("snp", { ...SNP_SECTION, allowsLaggingTcb: true, authorKeys: [key] }));
    assert.equal(await verdict(verifier, machine), "refused/snp-author-key");
  });
  await t.step("providers: snp-provider", async () => {
    const cloud = await createSoftwareAmd("milan", "vlek");
    const trust = await trustDigest(TRUST);
    const evidence = await cloud.evidence({ report: { 0x50: STATEMENT, 0xc0: trust } });
    const expectation = { trust: [trust], lock: [FRESH], identity: NO_IDENTITY };
    const verify = async (provider: string) => {
      const section = { ...SNP_SECTION, signingKeys: ["vlek"], providers: [provider] };
      const snp = snpOf(readPolicy(documentOf("snp", section), "the policy"));
      const verifier = createSnpVerifier(snp, await cloud.collateral(), () => AMD_NOW, cloud.anchors);
      return await verifier.verify(evidence, STATEMENT, expectation);
    };
    await verify("a-cloud");
    await assert.rejects(verify("another-cloud"), { code: "refused/snp-provider" });
  });
});

const neverCopied = "attack: verifier omission, a TPM value that is never copied into the policy";
await variantTest(attack(neverCopied, createTpmVerifier), async (t) => {
  // As in CVE-2026-92701. readPolicy() makes TpmPolicy, and the verifier reads it.
  await using machine = await VARIANTS.tpm.start();
  const pcrs = { 4: ["00".repeat(32)] };
  const section = { ekType: "ecc-p256", pcrs, trust: { identities: [machine.identity] } };
  await eachValueCounts(t, machine, "tpm", section, {
    ekType: [[{ ekType: "rsa2048" }, "ek-type"]],
    pcrs: [
      [{ pcrs: { 4: [OTHER.repeat(32)] } }, "pcr-4"],
      ...[0, 1, 7, 11, 14].map((index): Change => [{ pcrs: { ...pcrs, [index]: [OTHER.repeat(32)] } }, `pcr-${index}`]),
    ],
    trust: [[{ trust: { identities: [OTHER.repeat(32)] } }, "ek-identity"]],
  });
}, [VARIANTS.tpm]);

const nilOptions = attack(
  "attack: verifier omission, options that are nil are not looked at (go-sev-guest, go-tdx-guest)",
  readPolicy,
);
Deno.test(nilOptions, async (t) => {
  // A forgotten option would admit every image. In the schema of each kind, values that distinguish images are
  // required, and no value may be empty. Optional values only restrict: without them the default is strict, or the
  // policy has no requirement for that hardware.
  await t.step("tpm", (t) =>
    nothingIsNil(t, "tpm", {
      ...{ ekType: "rsa2048", pcrs: { 4: [OTHER.repeat(32)] }, trust: { identities: [OTHER.repeat(32)] } },
    }, []));
  await t.step("snp", (t) =>
    nothingIsNil(t, "snp", {
      ...SNP_SECTION,
      ...{ idKeys: [OTHER.repeat(48)], authorKeys: [OTHER.repeat(48)], chipIds: [OTHER.repeat(64)] },
      ...{ signingKeys: ["vcek"], bannedChipIds: ["aa".repeat(64)] },
    }, ["idKeys", "authorKeys", "chipIds", "signingKeys", "bannedChipIds"]));
  await t.step("tdx", (t) =>
    nothingIsNil(t, "tdx", {
      ...TDX_SECTION,
      ...{ platforms: [OTHER.repeat(16)], bannedPlatforms: ["aa".repeat(16)] },
    }, ["rtmr0", "tcbStatuses", "platforms", "bannedPlatforms"]));
});
