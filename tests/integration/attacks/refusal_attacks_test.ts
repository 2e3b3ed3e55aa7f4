/**
 * Attacks by strangers who only want to be refused: to read the policy's values, or to fill the log.
 *
 * @module
 */
import assert from "node:assert/strict";
import { createTpmVerifier } from "../../../attestation/kinds/tpm/verifier.ts";
import type { Standing } from "../../../attestation/policy/policy.ts";
import type { EvidenceVerifier } from "../../../attestation/evidence.ts";
import { asBootstrapError } from "../../../platform/errors.ts";
import type { BootstrapError } from "../../../platform/errors.ts";
import { createLog } from "../../../platform/log.ts";
import { present } from "../../../platform/present.ts";
import { systemClock } from "../../../platform/clock.ts";
import { decodePayload, encodePayload } from "../../../attestation/kinds/snp/payload.ts";
import type { Hostility } from "./join_attacks.ts";
import { RefusalLog } from "../../../platform/refusal_log.ts";
import { serveJoin } from "../../../service/exchange_service.ts";
import { TestCluster } from "../../exchanges/join_world.ts";
import { measureTrust } from "../../../nodelock/measure.ts";
import { variantTest } from "./variants.ts";
import { startTpmMachine, swtpmTest } from "./attacks.ts";
import type { TpmMachine } from "./attacks.ts";
import { joinByHand, NODE_NAME } from "./join_attacks.ts";
import { attack } from "./stopped_by.ts";

/** Where a report has its measurement. SEV-SNP ABI, table 23. */
const MEASUREMENT_AT = 0x90;
/** The register value that the policy wants, and that no machine of these tests has. */
const WANTED = new Uint8Array(32).fill(0xab);

/** A verifier that trusts these machines, but wants another image. */
function otherImage(...identities: readonly string[]): EvidenceVerifier {
  const trust = { identities: new Set(identities), issuers: [] };
  return createTpmVerifier({ ekType: "ecc-p256", pcrs: new Map([[4, [WANTED]]]), trust }, () => new Date());
}

async function refusalFor(cluster: TestCluster, machine: TpmMachine): Promise<BootstrapError> {
  const joined = joinByHand(cluster.port, { issuer: machine.issuer });
  return await joined.then(() => assert.fail("a ticket was issued"), asBootstrapError);
}

await swtpmTest(attack("attack: a stranger reads the policy's values in a refusal", serveJoin), async (t) => {
  await using machine = await startTpmMachine();
  const { identity } = machine;
  let standing: Standing | undefined;
  const service = { standingOf: (one: string) => one === identity ? standing : undefined };
  const start = (verifier: EvidenceVerifier) => TestCluster.create({ verifier, service });
  const isExplained = ({ checks, message, details }: BootstrapError) => {
    return `${JSON.stringify(checks)}${message}${JSON.stringify(details)}`.includes("ab".repeat(32));
  };
  await t.step("an endorsement key that nobody knows hears the code alone", async () => {
    await using cluster = await start(otherImage("11".repeat(32)));
    const error = await refusalFor(cluster, machine);
    assert.deepEqual([error.message, error.checks], [`The peer refused: ${error.code}`, []]);
    assert.ok(!isExplained(error));
  });
  await t.step("so does one that an issuer vouches for, before it has activated", async () => {
    await using cluster = await start(otherImage(identity));
    const error = await refusalFor(cluster, machine);
    assert.deepEqual([error.message, error.checks], [`The peer refused: ${error.code}`, []]);
  });
  await t.step("one that the policy names hears why", async () => {
    standing = "named";
    await using cluster = await start(otherImage(identity));
    assert.ok(isExplained(await refusalFor(cluster, machine)));
    standing = undefined;
  });
  await t.step("one that has an admission record hears why", async () => {
    await using cluster = await start(otherImage(identity));
    await cluster.admissions.admit({
      ...{ identity, nodeName: NODE_NAME, role: "worker", addresses: ["192.0.2.7"], nodeKey: "", evidenceDigest: "" },
      ...{ registers: {}, policyDigest: "", attestedMs: 0 },
    });
    assert.ok(isExplained(await refusalFor(cluster, machine)));
    standing = "banned";
    const banned = await refusalFor(cluster, machine);
    assert.deepEqual([banned.message, banned.checks], [`The peer refused: ${banned.code}`, []]);
  });
});

await variantTest(
  () => attack("attack: evidence that no vendor signed draws the policy's values out of a refusal", serveJoin),
  async (_t, variant) => {
    // A report of the vendor's own processor hears why it is refused. A TPM, also beside a processor, has to activate.
    await using machine = await variant.start();
    const service = { standingOf: () => undefined };
    await using cluster = await TestCluster.create({ verifier: variant.verifierFor(machine), service });
    await measureTrust(machine.issuer, cluster.trust);
    await machine.changeImage();
    const refusalOf = async (evidence?: Hostility["evidence"]) => {
      const joined = joinByHand(cluster.port, { issuer: machine.issuer, ...present("evidence", evidence) });
      return await joined.then(() => assert.fail("a ticket was issued"), asBootstrapError);
    };
    const { checks } = await refusalOf();
    const isSigned = variant.name === "snp" || variant.name === "tdx";
    assert.equal(checks.length > 0, isSigned, variant.name);
    // Evidence that was made for another exchange can be anybody's.
    const replayed = await refusalOf(() => machine.issuer.issue(new Uint8Array(32).fill(1)));
    assert.deepEqual(replayed.checks, []);
    if (variant.name !== "snp") return;
    const forged = await refusalOf(async (a2) => {
      const { variant: name, payload } = await machine.issuer.issue(a2);
      const { report, ...rest } = decodePayload(payload);
      const changed = Uint8Array.from(report);
      changed[MEASUREMENT_AT] = (changed[MEASUREMENT_AT] ?? 0) ^ 1;
      return { variant: name, payload: encodePayload({ ...rest, report: changed }) };
    });
    assert.deepEqual(forged.checks, []);
  },
);

Deno.test(attack("attack: a stranger fills the log with refusals", RefusalLog, serveJoin), async () => {
  let bytes = 0;
  const log = createLog(systemClock, (line) => bytes += line.length + 1);
  await using cluster = await TestCluster.create({
    verifier: otherImage("11".repeat(32)),
    service: { log, refusals: new RefusalLog(), standingOf: () => undefined },
  });
  const refusals = 50;
  for (let index = 0; index < refusals; index++) {
    await assert.rejects(joinByHand(cluster.port), { code: "refused/variant" });
  }
  assert.ok(bytes > 0 && bytes <= 1_000, `${bytes} bytes for ${refusals} refusals`);
});
