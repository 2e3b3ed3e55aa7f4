import assert from "node:assert/strict";
import { collateralCache } from "../../attestation/collateral_cache.ts";
import { collateralAtHand } from "../../attestation/collateral_wanted.ts";
import type { EvidenceVerifier } from "../../attestation/evidence.ts";
import { createInsecureVerifier } from "../../attestation/kinds/none/verifier.ts";
import { systemClock } from "../../platform/clock.ts";
import { DocumentFetches } from "../../service/document_fetches.ts";
import { FairQueue } from "../../service/fair_queue.ts";
import { ask, newInsecureIssuer, newNode, TestCluster } from "./join_world.ts";

/** More than the verifications and the fetches that run at once. */
const FORGED = 24;

/** A cache of documents whose server answers only when the test says so. */
function slowCache() {
  const asked: string[] = [];
  const answer = Promise.withResolvers<void>();
  const cache = collateralCache("https://cache.example", {
    clock: systemClock,
    fetch: async (url) => {
      asked.push(url);
      await answer.promise;
      return { status: 200, body: new Uint8Array(1) };
    },
  });
  return { asked, answer, collateral: collateralAtHand(cache) };
}

Deno.test("forged evidence that wants documents of a slow server does not hold up honest nodes", async () => {
  const { asked, answer, collateral } = slowCache();
  const verifier = createInsecureVerifier();
  let verifications = 0;
  const wanting: EvidenceVerifier = {
    ...verifier,
    async verify(evidence, ...rest) {
      const [first = 0] = evidence.payload;
      if (first === FORGED_MARK) {
        verifications++;
        await collateral.find(`chip-${verifications}.der`);
      }
      return await verifier.verify(evidence, ...rest);
    },
  };
  await using cluster = await TestCluster.create({
    verifier: wanting,
    service: {
      queue: new FairQueue({ maximumActive: 2, maximumWaiting: 4 * FORGED, full: "too many wait" }),
      fetches: new DocumentFetches(systemClock),
    },
  });
  const issuer = await newInsecureIssuer();
  const forged = Array.from({ length: FORGED }, async (_, index) => {
    const node = await newNode(cluster.trust, {
      self: { name: `forged-${index}`, address: "192.0.2.8", role: "worker" },
      issuer: {
        ...issuer,
        issue: async (statement) => ({ ...await issuer.issue(statement), payload: Uint8Array.of(FORGED_MARK) }),
      },
    });
    return await ask(cluster.port, node).catch((error) => error.code);
  });
  while (asked.length === 0 || verifications < FORGED) {
    await Promise.race([systemClock.sleep(5), ...forged.map((one) => one.then((code) => assert.fail(String(code))))]);
  }
  const ticket = await ask(cluster.port, await newNode(cluster.trust));
  assert.deepEqual(ticket.clusterId, cluster.clusterId);
  // All forged evidence has had its turn by then, and none has an answer.
  assert.equal(verifications, FORGED);
  answer.resolve();
  await Promise.all(forged);
});

/** The first byte of evidence that names a document. */
const FORGED_MARK = 0xee;
