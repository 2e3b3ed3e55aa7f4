import assert from "node:assert/strict";
import { BootstrapError } from "../platform/errors.ts";
import { systemClock } from "../platform/clock.ts";
import { collateralCache } from "./collateral_cache.ts";
import { collateralAtHand, CollateralWanted, findAll } from "./collateral_wanted.ts";
import { combineVerifiers, encodeEvidenceSet } from "./combined.ts";
import type { ExplainingVerifier } from "./evidence.ts";
import { FRESH } from "./evidence.ts";
import { errorOf } from "./testing/evidence.ts";
import { verifyEvidence } from "./verify_evidence.ts";

const expectation = { trust: [new Uint8Array(32).fill(1)], lock: [FRESH], identity: "1d".repeat(32) };
const statement = new Uint8Array(32).fill(2);

async function wantedBy(work: () => Promise<unknown>): Promise<CollateralWanted> {
  const error = await errorOf(work);
  assert.ok(error instanceof CollateralWanted);
  return error;
}

Deno.test("collateralAtHand() fetches nothing by itself, and knows afterwards what there is and what there is not", async () => {
  const asked: string[] = [];
  const cache = collateralCache("https://cache.example/c", {
    clock: systemClock,
    fetch: (url) => {
      asked.push(url);
      const isThere = url.endsWith("a.crl");
      return Promise.resolve({ status: isThere ? 200 : 404, body: new Uint8Array(isThere ? 1 : 0) });
    },
  });
  const atHand = collateralAtHand(cache);
  const { documents } = await wantedBy(() => findAll(["a.crl", "b.crl"].map((name) => atHand.find(name))));
  assert.deepEqual(documents.map(({ name }) => name), ["a.crl", "b.crl"]);
  assert.deepEqual(asked, []);
  assert.deepEqual(await Promise.all(documents.map(({ fetch }) => fetch())), [true, false]);
  assert.equal((await atHand.find("a.crl"))?.bytes.length, 1);
  assert.equal(await atHand.find("b.crl"), undefined);
  assert.equal(asked.length, 2);
  await assert.rejects(atHand.find("../a"), { code: "internal/collateral" });
});

Deno.test("collateralAtHand() says why a document could not be had", async () => {
  const cache = collateralCache("https://cache.example/c", {
    clock: systemClock,
    fetch: () => Promise.reject(new Error("the front could not fetch it")),
  });
  const atHand = collateralAtHand(cache);
  const { documents } = await wantedBy(() => atHand.find("a.crl"));
  for (const { fetch } of documents) await assert.rejects(fetch(), { code: "unavailable/collateral" });
  const error = await errorOf(() => atHand.find("a.crl"));
  assert.ok(!(error instanceof CollateralWanted));
  assert.match(error.message, /could not fetch it/);
});

Deno.test("findAll() throws a failure rather than what is wanted", async () => {
  const wanted = Promise.reject(new CollateralWanted([{ name: "a", fetch: () => Promise.resolve(true) }]));
  await assert.rejects(
    findAll([wanted, Promise.reject(new BootstrapError("system/file", "no"))]),
    { code: "system/file" },
  );
  assert.deepEqual(await findAll([Promise.resolve(1), Promise.resolve(2)]), [1, 2]);
});

Deno.test("a refusal by one kind of evidence stands, whatever document another kind wants", async () => {
  const verifierOf = (variant: string, error: BootstrapError): ExplainingVerifier => ({
    variant,
    verify: () => Promise.reject(error),
  });
  const wanted = new CollateralWanted([{ name: "a", fetch: () => Promise.resolve(true) }]);
  const refused = new BootstrapError("refused/pcr-4", "no");
  const pieces = ["aa", "bb"].map((variant) => ({ variant, payload: new Uint8Array(1) }));
  const evidence = { variant: "aa+bb", payload: encodeEvidenceSet(pieces) };
  const verdict = (first: BootstrapError, second: BootstrapError) =>
    errorOf(() =>
      verifyEvidence(
        combineVerifiers([verifierOf("aa", first), verifierOf("bb", second)]),
        evidence,
        statement,
        expectation,
      )
    );
  assert.equal((await verdict(wanted, refused)).code, "refused/pcr-4");
  assert.equal((await verdict(refused, wanted)).code, "refused/pcr-4");
  assert.ok(await verdict(wanted, wanted) instanceof CollateralWanted);
});
