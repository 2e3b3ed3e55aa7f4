import assert from "node:assert/strict";
import { claimsOf, keepClaims } from "./claims.ts";

const TEXT = "query x;\n(* Q1 one *)\n; a\n(* J2 two,\n   long *)\n; b ==>\n  c\n(* reach-join *)\n; d\n.\nprocess";
const QUERIES =
  "(* F1 one *)\nquery x; a.\n(* F2s two *)\nquery b ==>\n  c.\n(* reach-two-more *)\nquery d.\n(* the end of the claims *)\nprocess";

Deno.test("claimsOf() names the claims in their order", () => {
  assert.deepEqual(claimsOf(TEXT), ["Q1", "J2", "reach-join"]);
  assert.deepEqual(claimsOf(QUERIES), ["F1", "F2s", "reach-two-more"]);
});

Deno.test("keepClaims() keeps the lines of the claims that are named, and separates them", () => {
  const kept = (...names: string[]) => keepClaims(TEXT, names).split("\n").filter((line) => line !== "").join("|");
  assert.equal(kept("J2"), "query x;|(* J2 two,|   long *)|  b ==>|  c|.|process");
  assert.equal(kept("Q1", "reach-join"), "query x;|(* Q1 one *)|  a|(* reach-join *)|; d|.|process");
});

Deno.test("keepClaims() keeps claims that are queries of their own", () => {
  const kept = (...names: string[]) => keepClaims(QUERIES, names).split("\n").filter((line) => line !== "").join("|");
  assert.equal(kept("F2s"), "(* F2s two *)|query b ==>|  c.|(* the end of the claims *)|process");
  assert.equal(kept("F1", "F2s", "reach-two-more"), QUERIES.replaceAll("\n", "|"));
});

Deno.test("keepClaims() keeps line numbers", () => {
  assert.equal(keepClaims(TEXT, ["J2"]).split("\n").length, TEXT.split("\n").length);
});

Deno.test("keepClaims() throws when the model lacks a claim", () => {
  assert.throws(() => keepClaims(TEXT, ["J1"]), /"J1"/);
});
