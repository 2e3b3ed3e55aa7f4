import assert from "node:assert/strict";
import { CollateralWanted } from "../attestation/collateral_wanted.ts";
import { DocumentFetches } from "./document_fetches.ts";

const BUDGET = 8;
const REFILL_MS = 10_000;
const present = new AbortController().signal;

function world() {
  const clock = { nowMs: 0, monotonicMs: () => clock.nowMs };
  const asked: string[] = [];
  const wanted = (name: string, answer: () => Promise<boolean>) =>
    new CollateralWanted([{ name, fetch: () => (asked.push(name), answer()) }]);
  return { clock, asked, fetches: new DocumentFetches(clock), wanted };
}

Deno.test("DocumentFetches fetches what is wanted, and leaves it to the next verification to say what is missing", async () => {
  const { asked, fetches, wanted } = world();
  await fetches.obtain(wanted("there", () => Promise.resolve(true)), present, "a");
  await fetches.obtain(wanted("not there", () => Promise.resolve(false)), present, "a");
  await fetches.obtain(wanted("failing", () => Promise.reject(new Error("no"))), present, "a");
  assert.deepEqual(asked, ["there", "not there", "failing"]);
});

Deno.test("DocumentFetches gives each part of the network a budget of fetches that bring nothing", async () => {
  const { clock, asked, fetches, wanted } = world();
  const none = wanted("none", () => Promise.resolve(false));
  const some = wanted("some", () => Promise.resolve(true));
  for (let index = 0; index < 3 * BUDGET; index++) await fetches.obtain(some, present, "a");
  for (let index = 0; index < BUDGET; index++) await fetches.obtain(none, present, "a");
  await assert.rejects(fetches.obtain(none, present, "a"), { code: "unavailable/busy", retryAfterSeconds: 10 });
  assert.equal(asked.length, 4 * BUDGET);
  await fetches.obtain(none, present, "b");
  clock.nowMs += REFILL_MS;
  await fetches.obtain(some, present, "a");
  await fetches.obtain(none, present, "a");
  await assert.rejects(fetches.obtain(some, present, "a"), { code: "unavailable/busy" });
});

Deno.test("DocumentFetches refuses a peer when too many documents wait, and says so", async () => {
  const { fetches, wanted } = world();
  const gone = new AbortController();
  const never = wanted("slow", () => new Promise(() => {}));
  const waiting = Array.from(
    { length: 8 + 512 },
    (_, index) => fetches.obtain(never, gone.signal, `${index}`).catch(() => {}),
  );
  const error = { code: "unavailable/busy", message: "The join service already fetches as many documents as it can" };
  await assert.rejects(fetches.obtain(never, gone.signal, "another"), error);
  gone.abort();
  await Promise.all(waiting.slice(8));
});

Deno.test("DocumentFetches counts a fetch before its answer, and lets a peer that is gone leave", async () => {
  const { fetches, wanted } = world();
  const never = wanted("slow", () => new Promise(() => {}));
  for (let index = 0; index < BUDGET; index++) fetches.obtain(never, present, "a");
  const gone = new AbortController();
  const waiting = fetches.obtain(never, gone.signal, "b");
  gone.abort(new Error("the peer is gone"));
  await assert.rejects(waiting, /the peer is gone/);
});
