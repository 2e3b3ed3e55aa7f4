import { TPM_SETTINGS } from "../../attestation/testing/trust.ts";
import { lockDigest, trustDigest } from "../../protocol/transcript.ts";
import type { Expectation } from "../../attestation/evidence.ts";
import { FRESH } from "../../attestation/evidence.ts";
import { measureTrust } from "../../nodelock/measure.ts";
import { hex } from "../../platform/bytes.ts";
import { VARIANTS } from "../integration/attacks/variants.ts";
import type { BenchPart } from "./bench_part.ts";
import type { Figure } from "./figures.ts";
import { measurePairs, medianMsOf } from "./pairs.ts";

/** The verifications of one round. */
const VERIFICATIONS = 25;
const STATEMENT = new Uint8Array(32).fill(1);
const TRUST = {
  clusterName: "bench",
  clusterId: new Uint8Array(),
  operatorKeys: [new Uint8Array(44)],
  ...TPM_SETTINGS,
};

/**
 * Measures how long it takes to verify one piece of evidence of each kind, compared with one ECDSA P-256 verification.
 */
export const benchVerify: BenchPart = async ({ rounds }) => {
  const keys = await crypto.subtle.generateKey({ name: "ECDSA", namedCurve: "P-256" }, false, ["sign", "verify"]);
  const algorithm = { name: "ECDSA", hash: "SHA-256" };
  const signature = await crypto.subtle.sign(algorithm, keys.privateKey, STATEMENT);
  const expectation = await expectationOfMachines();
  const measured: Figure[] = [];
  for (const variant of Object.values(VARIANTS)) {
    await using machine = await variant.start();
    await measureTrust(machine.issuer, TRUST);
    const evidence = await machine.issuer.issue(STATEMENT);
    const verifier = variant.verifierFor(machine);
    const verify = () => verifier.verify(evidence, STATEMENT, expectation);
    await verify();
    measured.push({
      ...{ name: `verify evidence, ${variant.name}`, baseline: "one ECDSA P-256 verification", unit: "ms" },
      ...await measurePairs(
        rounds,
        () => medianMsOf(VERIFICATIONS, verify),
        () =>
          medianMsOf(
            VERIFICATIONS,
            () => crypto.subtle.verify(algorithm, keys.publicKey, signature, STATEMENT),
          ),
      ),
    });
  }
  return measured;
};

async function expectationOfMachines(): Promise<Expectation> {
  const zero = new Uint8Array(32);
  return { trust: [await trustDigest(TRUST)], lock: [FRESH, await lockDigest(zero)], identity: hex(zero) };
}
