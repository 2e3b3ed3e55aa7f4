import assert from "node:assert/strict";
import type { Bytes } from "../../../platform/bytes.ts";
import { hex, utf8 } from "../../../platform/bytes.ts";
import type { EvidenceCheck } from "../../evidence.ts";
import { FRESH } from "../../evidence.ts";
import { encodeTdxPayload } from "./payload.ts";
import { extendedRtmr, padded } from "./rtmr.ts";
import { filled } from "./testing/tdx.ts";
import { errorOf } from "../../testing/evidence.ts";
import { NOW } from "./testing/der.ts";
import type { QuoteLies } from "./testing/intel.ts";
import { readPolicy } from "../../policy/policy.ts";
import { tdxOf } from "../../testing/sections.ts";
import { createTdxVerifier } from "./verifier.ts";
import {
  type Case,
  D15,
  expectation,
  IDENTITY,
  intel,
  NO_MODULES,
  nowhere,
  policy,
  PPID,
  rightQuote,
  rtmrsBut,
  STATEMENT,
  svns,
  verify,
} from "./testing/verifying.ts";

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

const zeroMasked = { mrsigner: "00".repeat(48), attributes: "00".repeat(8), attributesMask: "FF".repeat(8) };

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
