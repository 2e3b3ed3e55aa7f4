import assert from "node:assert/strict";
import { hex, sha256 } from "../platform/bytes.ts";
import { identityOf, keyDigestOf, ownEntry, sameEntries, sameEntry } from "./entry.ts";
import { entriesOf, paperFounder } from "./testing/cards.ts";

const [a, b] = [await paperFounder("a"), await paperFounder("b")];
const digest = hex(a.keyDigest);
const SEEN = "ab".repeat(32);
const machine = { ownIdentity: () => Promise.resolve(SEEN) };

Deno.test("keyDigestOf() is the SHA-256 of the SPKI of F", async () => {
  assert.deepEqual(await keyDigestOf(a.entry), await sha256(a.keys.spki));
});

Deno.test("identityOf() and ownEntry() take the evidence's identity, and F where there is none that lasts", async () => {
  const { certificate } = a.entry;
  const name = { name: "a", address: "a.example:9444" };
  assert.equal(await identityOf(a.entry, undefined), digest);
  assert.equal(await identityOf(a.entry, { identity: SEEN }), SEEN);
  assert.equal(await identityOf(a.entry, { identity: SEEN }, true), digest);
  assert.equal(await identityOf(a.entry, { identity: SEEN, isEphemeral: true }), digest);
  assert.equal((await ownEntry(name, certificate, undefined)).identity, digest);
  assert.equal((await ownEntry(name, certificate, machine)).identity, SEEN);
  assert.equal((await ownEntry(name, certificate, { ...machine, identityIsKey: true })).identity, digest);
  assert.equal((await ownEntry(name, certificate, { ...machine, identityIsOfBoot: true })).identity, digest);
});

Deno.test("sameEntry() and sameEntries() compare every field", () => {
  assert.ok(sameEntry(a.entry, { ...a.entry }));
  for (const change of [{ name: "x" }, { address: "x:1" }, { identity: SEEN }, { certificate: b.entry.certificate }]) {
    assert.ok(!sameEntry(a.entry, { ...a.entry, ...change }), JSON.stringify(Object.keys(change)));
  }
  const both = entriesOf(a, b);
  assert.ok(sameEntries(both, [...both]));
  assert.ok(!sameEntries(both, both.toReversed()));
  assert.ok(!sameEntries(both, both.slice(1)));
  assert.ok(!sameEntries(both.slice(1), both));
});
