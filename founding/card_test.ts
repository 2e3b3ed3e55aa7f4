import assert from "node:assert/strict";
import fc from "fast-check";
import { errorOf, flipped } from "../attestation/testing/evidence.ts";
import { generateKeyPair } from "../certificate/keys.ts";
import { createThrowAwayCertificate } from "../certificate/throw_away.ts";
import { readPem } from "../certificate/pem.ts";
import { asBootstrapError, BootstrapError, errorFamily } from "../platform/errors.ts";
import { FounderCard } from "../proto/gen/bootstrapper.ts";
import type { Card } from "./card.ts";
import { makeCard, MAXIMUM_CARD_BYTES, readCard } from "./card.ts";
import { cardOf, entriesOf, paperFounder } from "./testing/cards.ts";

const founders = await Promise.all(["a", "b", "c"].map((name) => paperFounder(name)));
const [a, b] = [founders[0] ?? assert.fail(), founders[1] ?? assert.fail()];
const pledge = (fill: number) => ({ keyDigest: new Uint8Array(32).fill(fill), signature: new Uint8Array(64) });
const full = cardOf(a, {
  timeMs: 1_700_000_000_000n,
  clusterId: new Uint8Array(32).fill(9),
  hindrances: ["etcd's image is missing"],
  view: entriesOf(...founders),
  pledges: [pledge(1), pledge(2)],
});

const encode = (card: Card) => Uint8Array.from(FounderCard.encode(structuredClone(card) as FounderCard).finish());

Deno.test("readCard() reads what makeCard() writes", async () => {
  for (const card of [cardOf(a), full]) assert.deepEqual(await readCard(await makeCard(card)), plain(card));
  const any = fc.record({
    timeMs: fc.bigInt({ min: -8_640_000_000_000_000n, max: 8_640_000_000_000_000n }),
    serial: fc.bigInt({ min: 1n, max: (1n << 64n) - 1n }),
    instance: fc.uint8Array({ minLength: 16, maxLength: 16 }),
    state: fc.constantFrom("meeting", "pledged", "a", "join-ing"),
    hindrances: fc.array(
      fc.string({ minLength: 1, maxLength: 256, unit: fc.constantFrom("a", "é", " ", "\u{1F600}") })
        .filter((text) => text.length <= 256),
      { maxLength: 16 },
    ),
    view: fc.subarray(founders, { minLength: 1 }).map((some) => entriesOf(...some)),
  });
  await fc.assert(fc.asyncProperty(any, async (changes) => {
    const card = cardOf(a, changes);
    assert.deepEqual(await readCard(await makeCard(card)), plain(card));
  }));
});

/** As protobuf reads it. */
function plain(card: Card): Card {
  return FounderCard.decode(encode(card));
}

Deno.test("makeCard() cuts hindrances and views that are too long", async () => {
  const many = cardOf(a, { hindrances: [...Array(40)].map(() => "x\n".repeat(300)) });
  const { hindrances } = await readCard(await makeCard(many));
  assert.equal(hindrances.length, 16);
  assert.equal(hindrances[0], "x ".repeat(128));
});

const thrown = await createThrowAwayCertificate();
const stranger = { ...a.entry, certificate: readPem(thrown.certificatePem, "CERTIFICATE", "certificate") };
const wrong: readonly (readonly [what: string, change: Partial<Card>, code?: string])[] = [
  ["a name that is no label", { name: "A_" }],
  ["no name", { name: "" }],
  ["an address without a port", { address: "a.example" }],
  ["an address in capitals", { address: "A.example:9444" }],
  ["a time after all dates", { timeMs: 8_640_000_000_000_001n }],
  ["the serial 0", { serial: 0n }],
  ["a short instance", { instance: new Uint8Array(15) }],
  ["a state of two words", { state: "a b" }],
  ["no state", { state: "" }],
  ["half a cluster ID", { clusterId: new Uint8Array(16) }],
  ["an empty hindrance", { hindrances: [""] }],
  ["a hindrance that rings", { hindrances: ["a\u0007"] }],
  ["a long hindrance", { hindrances: ["a".repeat(257)] }],
  ["17 hindrances", { hindrances: [...Array(17)].map(() => "a") }],
  ["no view", { view: [] }],
  ["an unsorted view", { view: entriesOf(...founders).toReversed() }],
  ["an entry twice", { view: [a.entry, a.entry] }],
  ["an entry's identity in capitals", { view: [{ ...a.entry, identity: "A".repeat(64) }] }],
  ["an entry with another name", { view: [{ ...a.entry, name: "-" }] }],
  ["an entry with another address", { view: [{ ...a.entry, address: "-" }] }],
  ["a large certificate", { view: [{ ...a.entry, certificate: new Uint8Array(2_049) }] }],
  ["another certificate", { view: [stranger] }, "refused/certificate-subject"],
  ["a pledge of a short key", { pledges: [{ ...pledge(1), keyDigest: new Uint8Array(31) }] }],
  ["a pledge of a short signature", { pledges: [{ ...pledge(1), signature: new Uint8Array(63) }] }],
  ["unsorted pledges", { pledges: [pledge(2), pledge(1)] }],
  ["a pledge twice", { pledges: [pledge(1), pledge(1)] }],
  ["25 pledges", { pledges: [...Array(25).keys()].map(pledge) }],
];
for (const [what, change, code = "malformed/founder-card"] of wrong) {
  Deno.test(`readCard() refuses a card with ${what}`, async () => {
    await assert.rejects(readCard(encode(cardOf(a, change))), { code });
  });
}

Deno.test("readCard() refuses other encodings, leftovers, and too many bytes", async () => {
  const bytes = await makeCard(full);
  await assert.rejects(readCard(new Uint8Array([...bytes, 0x78, 1])), { code: "malformed/founder-card" });
  await assert.rejects(readCard(new Uint8Array([...bytes, ...bytes])), { code: "malformed/founder-card" });
  await assert.rejects(readCard(bytes.subarray(0, -1)), { code: "malformed/founder-card" });
  await assert.rejects(readCard(new Uint8Array(MAXIMUM_CARD_BYTES + 1)), { code: "malformed/founder-card" });
});

Deno.test("readCard() takes a card with a flipped bit for another card, or refuses it by a code", async () => {
  const bytes = await makeCard(full);
  for (const index of bytes.keys()) {
    const changed = flipped(bytes, index, 1 << index % 8);
    try {
      assert.notDeepEqual(await readCard(changed), plain(full), `byte ${index}`);
    } catch (error) {
      assert.ok(error instanceof BootstrapError, `byte ${index}: ${error}`);
      assert.match(errorFamily(asBootstrapError(error).code), /^(?:malformed|refused)$/);
    }
  }
});

Deno.test("readCard() ends on any bytes with a card or a code", async () => {
  await fc.assert(fc.asyncProperty(fc.uint8Array({ maxLength: 200 }), async (bytes) => {
    const error = await errorOf(() => readCard(bytes));
    assert.match(error.code, /^(?:malformed|refused)\//);
  }));
});

Deno.test("readCard() reads the view of others, whose keys it does not know", async () => {
  assert.notDeepEqual((await generateKeyPair("p-256")).spki, b.keys.spki);
  assert.equal((await readCard(await makeCard(cardOf(a, { view: [b.entry] })))).view[0]?.name, "b");
});
