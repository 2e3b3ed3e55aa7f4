import assert from "node:assert/strict";
import { claimsOf, keepClaims } from "./claims.ts";

const TEXT = "query x;\n(* Q1 one *)\n; a\n(* J2 two,\n   long *)\n; b ==>\n  c\n(* reach-join *)\n; d\n.\nprocess";

Deno.test("claimsOf() names the claims in their order", () => {
  assert.deepEqual(claimsOf(TEXT), ["Q1", "J2", "reach-join"]);
});

Deno.test("keepClaims() keeps the lines of the claims that are named, and separates them", () => {
  const kept = (...names: string[]) => keepClaims(TEXT, names).split("\n").filter((line) => line !== "").join("|");
  assert.equal(kept("J2"), "query x;|(* J2 two,|   long *)|  b ==>|  c|.|process");
  assert.equal(kept("Q1", "reach-join"), "query x;|(* Q1 one *)|  a|(* reach-join *)|; d|.|process");
});

Deno.test("keepClaims() keeps line numbers", () => {
  assert.equal(keepClaims(TEXT, ["J2"]).split("\n").length, TEXT.split("\n").length);
});

Deno.test("keepClaims() throws when the model lacks a claim", () => {
  assert.throws(() => keepClaims(TEXT, ["J1"]), /"J1"/);
});
