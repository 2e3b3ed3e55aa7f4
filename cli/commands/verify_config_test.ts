/** `verify` and `policy explain` with `--config`, for every kind of evidence. */
import assert from "node:assert/strict";
import type { Evidence } from "../../attestation/evidence.ts";
import { issueEvidenceFile, writeEvidenceFile } from "../../attestation/evidence_file.ts";
import type { EvidenceKind } from "../../attestation/kind.ts";
import { KINDS } from "../../attestation/kinds.ts";
import { NONE } from "../../attestation/kinds/none/kind.ts";
import { snpKind } from "../../attestation/kinds/snp/kind.ts";
import { encodePayload as encodeSnpPayload } from "../../attestation/kinds/snp/payload.ts";
import * as snp from "../../attestation/kinds/snp/testing/snp.ts";
import { tdxKind } from "../../attestation/kinds/tdx/kind.ts";
import { encodeTdxPayload } from "../../attestation/kinds/tdx/payload.ts";
import { readQuote } from "../../attestation/kinds/tdx/quote.ts";
import { extendedRtmr, padded } from "../../attestation/kinds/tdx/rtmr.ts";
import * as intelDer from "../../attestation/kinds/tdx/testing/der.ts";
import { createSoftwareIntel } from "../../attestation/kinds/tdx/testing/intel.ts";
import { collateralOf2025, justBeforeEnd, QUOTE_OF_2025 } from "../../attestation/kinds/tdx/testing/oracles.ts";
import { filled, oracleTest as tdxOracleTest } from "../../attestation/kinds/tdx/testing/tdx.ts";
import { TPM } from "../../attestation/kinds/tpm/kind.ts";
import { createSoftwareMachine } from "../../attestation/kinds/tpm/testing/tpm.ts";
import { draftPolicy } from "../../attestation/policy/policy_make.ts";
import { readNodeConfiguration } from "../../node/configuration.ts";
import type { Bytes } from "../../platform/bytes.ts";
import { concat, fromHex, fromUtf8, hex } from "../../platform/bytes.ts";
import { extendedOnce, lockDigest, trustDigest } from "../../protocol/transcript.ts";
import type { TrustPart } from "../../protocol/transcript.ts";
import { TestWorld } from "../testing/command_line.ts";

const configuration = await Deno.readTextFile(new URL("../../deploy/node-worker.example.yaml", import.meta.url));
const other = configuration.replace("clusterName: ", "clusterName: not-");
const { trust } = readNodeConfiguration(configuration, "the example");
const D15 = await lockDigest(trust.clusterId);
/** D12 of a node with these kinds of evidence. */
const digestOf = (...variants: readonly string[]) =>
  trustDigest({ ...trust, variants, switches: switchesOf(variants) });
const switchesOf = (variants: readonly string[]): TrustPart["switches"] =>
  variants.includes("none") ? ["allowInsecure"] : [];
const ZERO = new Uint8Array(32);
const amd = await snp.createSoftwareAmd();
const intel = createSoftwareIntel();
const machine = await createSoftwareMachine();
const kinds: readonly EvidenceKind[] = [TPM, snpKind(amd.anchors), tdxKind(intel.anchor), NONE];

/** Evidence of one kind, and the checks that refuse it. */
interface Case {
  readonly name: string;
  readonly now: Date;
  /** Issues evidence that shows these digests; without `lock`, the machine is not locked. */
  issue(statement: Uint8Array, trust: Bytes, lock?: Bytes): Promise<Evidence>;
  /** The check of the trust part; absent if nothing is checked. */
  readonly trustCheck?: string;
  readonly lockCheck?: string;
  /** A policy, for kinds from which `policy make` can make none. */
  readonly policy?: string;
}

const tpmCase: Case = {
  name: "tpm",
  now: new Date("2026-01-01"),
  async issue(statement, trust, lock) {
    const pcrs = Array.from({ length: 16 }, () => ZERO).with(12, await extendedOnce(trust))
      .with(15, lock === undefined ? ZERO : await extendedOnce(lock));
    return await machine.issue(statement, pcrs);
  },
  trustCheck: "pcr-12",
  lockCheck: "pcr-15",
};
const snpCase: Case = {
  name: "snp",
  now: snp.NOW,
  issue: async (statement, trust) =>
    await amd.evidence({ report: { 0x50: statement, 0xc0: trust }, crl: await amd.crl() }),
  trustCheck: "snp-host-data",
};
const tdxCase: Case = {
  name: "tdx",
  now: intelDer.NOW,
  async issue(statement, trust, lock) {
    const rtmr3 = lock === undefined ? filled(48, 0) : await extendedRtmr(lock);
    const quote = await intel.quote({
      reportData: concat(statement, ZERO),
      mrConfigId: padded(trust),
      rtmrs: [filled(48, 0xb0), filled(48, 0xb1), filled(48, 0xb2), rtmr3],
    });
    return { variant: "tdx", payload: encodeTdxPayload({ quote, collateral: intel.collateral() }) };
  },
  trustCheck: "tdx-mrconfigid",
  lockCheck: "tdx-rtmr-3",
};
const noneCase: Case = {
  name: "none",
  now: new Date("2026-01-01"),
  issue: () => Promise.resolve({ variant: "none", payload: filled(32, 5) }),
  policy: "version: 1\nvariant: none\n",
};

/** Creates a world with evidence files, their policy, and two configurations. */
async function worldOf(cases: Pick<Case, "now" | "policy">, evidence: readonly (readonly [string, Uint8Array])[]) {
  const world = await TestWorld.create({ kinds, now: cases.now });
  const paths = {
    config: await world.write("node.yaml", configuration),
    other: await world.write("other.yaml", other),
  };
  for (const [name, bytes] of evidence) await Deno.writeFile(`${world.root}/${name}`, bytes);
  const path = (name: string) => `${world.root}/${name}`;
  if (cases.policy === undefined) {
    assert.equal(await world.run("policy", "make", path(evidence[0]?.[0] ?? "")), 0, world.err);
  }
  const policy = await world.write("policy.yaml", cases.policy ?? world.out);
  return { world, path, policy, ...paths };
}

async function fileOf(issue: (statement: Uint8Array) => Promise<Evidence>): Promise<Uint8Array> {
  return writeEvidenceFile(await issueEvidenceFile([{ issue }]));
}

for (const one of [tpmCase, snpCase, tdxCase, noneCase]) {
  const { name, trustCheck, lockCheck } = one;
  const files = async () =>
    [
      ["fresh.json", await fileOf(async (statement) => one.issue(statement, await digestOf(name)))],
      ["locked.json", await fileOf(async (statement) => one.issue(statement, await digestOf(name), D15))],
      ["foreign.json", await fileOf(async (statement) => one.issue(statement, await digestOf(name), filled(32, 9)))],
    ] as const;

  Deno.test(`verify --config judges evidence of the kind ${name} by a node's configuration`, async () => {
    const { world, path, policy, config, other } = await worldOf(one, await files());
    await using _world = world;
    const verify = (file: string, by: string) => world.run("verify", path(file), "--policy", policy, "--config", by);
    assert.equal(await verify("fresh.json", config), 0, world.err);
    assert.equal(await verify("locked.json", config), 0, world.err);
    assert.ok(!world.out.includes("not judged"), world.out);
    assert.equal(await verify("fresh.json", other), trustCheck === undefined ? 0 : 3);
    if (trustCheck !== undefined) assert.ok(world.err.includes(`refused/${trustCheck}`), world.err);
    assert.equal(await verify("foreign.json", config), lockCheck === undefined ? 0 : 3);
    if (lockCheck !== undefined) assert.ok(world.err.includes(`refused/${lockCheck}`), world.err);
  });

  Deno.test(`policy explain judges evidence of the kind ${name} with --config, and without it names the checks that were not judged`, async () => {
    const { world, path, policy, config, other } = await worldOf(one, await files());
    await using _world = world;
    const explain = async (file: string, ...more: readonly string[]) => {
      const args = ["policy", "explain", path(file), "--policy", policy, "--output", "json", ...more];
      const exitCode = await world.run(...args);
      const explanation = JSON.parse(world.out);
      assert.equal(exitCode, explanation.verdict === "accepted" ? 0 : 3, world.err);
      return explanation;
    };
    const unjudged = async (...args: Parameters<typeof explain>) =>
      (await explain(...args)).checks.filter(({ verdict }: { verdict: string }) => verdict === "not judged")
        .map(({ check }: { check: string }) => check);
    assert.equal((await explain("fresh.json", "--config", config)).verdict, "accepted");
    assert.deepEqual(await unjudged("fresh.json", "--config", config), []);
    assert.equal((await explain("fresh.json", "--config", other)).refusal?.check, trustCheck);
    assert.equal((await explain("foreign.json", "--config", config)).refusal?.check, lockCheck);
    // Without a configuration, the same file is accepted.
    assert.equal((await explain("foreign.json")).verdict, "accepted");
    assert.deepEqual(await unjudged("foreign.json"), [trustCheck, lockCheck].filter((check) => check !== undefined));
  });
}

Deno.test("verify --config judges both kinds of a machine that has a TPM and SEV-SNP", async () => {
  const now = snp.NOW;
  const fileOfBoth = async (tpmTrust: Bytes, snpTrust: Bytes) =>
    writeEvidenceFile(
      await issueEvidenceFile([
        { issue: (statement) => tpmCase.issue(statement, tpmTrust) },
        { issue: (statement) => snpCase.issue(statement, snpTrust) },
      ]),
    );
  const [right, wrong] = [await digestOf("tpm", "snp"), filled(32, 3)];
  const { world, path, policy, config } = await worldOf({ now }, [
    ["right.json", await fileOfBoth(right, right)],
    ["host.json", await fileOfBoth(right, wrong)],
  ]);
  await using _world = world;
  const verify = (file: string) => world.run("verify", path(file), "--policy", policy, "--config", config);
  assert.equal(await verify("right.json"), 0, world.err);
  assert.equal(await verify("host.json"), 3);
  assert.match(world.err, /refused\/snp-host-data/);
});

for (const one of [tpmCase, snpCase, tdxCase]) {
  const { name, trustCheck = "" } = one;
  Deno.test(`verify --config names the switch that a machine of the kind ${name} has on, and accepts it by its name only`, async () => {
    const unmeasured = await trustDigest({ ...trust, variants: [name], switches: ["allowUnmeasuredImage"] });
    const register = kinds.find((kind) => kind.name === name)?.registers?.trust;
    assert.ok(register !== undefined);
    const shownValue = async (digest: Bytes) => `${register.key} ${hex(await register.valueOf(digest))}`;
    const files = [
      ["measured.json", await fileOf(async (statement) => one.issue(statement, await digestOf(name)))],
      ["unmeasured.json", await fileOf((statement) => one.issue(statement, unmeasured))],
    ] as const;
    const { world, path, policy } = await worldOf(one, files);
    await using _world = world;
    const config = await world.write(
      "unmeasured.yaml",
      `${configuration.replace(/^(?:evidence:\n(?: .*\n)*|allowUnmeasuredImage: false\n)/gm, "")}\n` +
        `evidence: { variant: ${name} }\nallowUnmeasuredImage: true\n`,
    );
    const verify = (file: string, by: string) => world.run("verify", path(file), "--policy", by, "--config", config);
    assert.equal(await verify("measured.json", policy), 0, world.err);
    assert.match(world.out, /The configuration has allowUnmeasuredImage: true, which the policy does not allow\./);
    assert.ok(
      world.out.includes(
        `evidence.variant ${name}, without switches that weaken a check: ${await shownValue(await digestOf(name))}`,
      ),
    );
    assert.equal(await verify("unmeasured.json", policy), 3);
    assert.ok(world.err.includes(`refused/${trustCheck}`), world.err);
    const meaning = `the machine's configuration has evidence.variant ${name}, with allowUnmeasuredImage: true`;
    assert.ok(world.err.includes(meaning) && world.out.includes(meaning), world.err);
    const loud = await world.write("loud.yaml", `${await Deno.readTextFile(policy)}allowUnmeasuredImage: true\n`);
    for (const file of ["measured.json", "unmeasured.json"]) {
      assert.equal(await verify(file, loud), 0, world.err);
      assert.match(world.out, /Note: UNMEASURED: /);
      assert.ok(world.out.includes(`with allowUnmeasuredImage: true: ${await shownValue(unmeasured)}`), world.out);
    }
  });
}

/**
 * Judges real evidence, which was made over another statement than the file's. The verdict must say so, and must not be
 * a defect of this program.
 */
async function judgeReal(now: Date, evidence: Evidence, statementCheck: string): Promise<void> {
  const world = await TestWorld.create({ kinds: KINDS, now });
  await using _world = world;
  const config = await world.write("node.yaml", configuration);
  const file = `${world.root}/real.json`;
  await Deno.writeFile(file, writeEvidenceFile({ nonce: new Uint8Array(32), evidence: [evidence] }));
  const sources = { images: [], identities: [], controlPlanes: [], withoutPcrs: [], ekType: "rsa2048" } as const;
  const files = [{ name: "real", file: { evidence: [evidence] } }];
  const { text } = await draftPolicy({ ...sources, files }, { now: () => now });
  const policy = await world.write("policy.yaml", text);
  const args = [file, "--policy", policy, "--config", config];
  assert.equal(await world.run("policy", "explain", ...args, "--output", "json"), 3, world.err);
  const { checks } = JSON.parse(world.out);
  const refused = checks.filter(({ verdict }: { verdict: string }) => verdict === "refused")
    .map(({ check }: { check: string }) => check);
  assert.ok(refused.includes(statementCheck), refused.join());
  assert.equal(await world.run("verify", ...args), 3, world.err);
  assert.ok(!/internal\/|defect/.test(world.err), world.err);
}

tdxOracleTest("verify and policy explain judge a real TDX quote with --config", async (read) => {
  const documents = await collateralOf2025(read);
  const { bytes } = readQuote(await read(QUOTE_OF_2025));
  const payload = encodeTdxPayload({ quote: bytes, collateral: documents });
  await judgeReal(justBeforeEnd(documents), { variant: "tdx", payload }, "tdx-report-data");
});

snp.oracleTest("verify and policy explain judge a real SEV-SNP report with --config", async (read) => {
  const report = fromHex(fromUtf8(await read("report_milan.hex"), "report").trim(), "report");
  const none = new Uint8Array();
  const payload = encodeSnpPayload({ report, vek: await read("vcek_milan.der"), authority: none, crl: none });
  await judgeReal(new Date("2024-06-01T00:00:00Z"), { variant: "snp", payload }, "snp-report-data");
});
