import assert from "node:assert/strict";
import fc from "fast-check";
import { isLabel, isNodeName, labelProblem, nodeNameProblem, reservedNameProblem } from "./label.ts";

Deno.test("isLabel() takes up to 63 of a-z, 0-9 and -, and no - at either end", () => {
  for (const text of ["a", "0", "node-1", "a".repeat(63)]) assert.ok(isLabel(text), text);
  for (const text of ["", "-a", "a-", "A", "a.b", "a_b", "ä", "a\n", "a".repeat(64)]) assert.ok(!isLabel(text), text);
});

Deno.test("isNodeName() takes labels with dots between them, up to 63 characters, whose last one is no number", () => {
  for (const text of ["a", "node-1.example", "1.a", "a".repeat(63), `${"a".repeat(31)}.${"b".repeat(31)}`]) {
    assert.ok(isNodeName(text), text);
  }
  const wrong = [
    "",
    ".",
    "a.",
    ".a",
    "a..b",
    "-a.b",
    "a-.b",
    "A.b",
    "a_b.c",
    "10.0.0.1",
    "a.1",
    "a\n",
    `${"a".repeat(60)}.bcde`,
  ];
  for (const text of wrong) assert.ok(!isNodeName(text), text);
});

Deno.test("labelProblem() and nodeNameProblem() find a problem in exactly the names that are none", () => {
  const text = fc.oneof(fc.string(), fc.domain(), fc.stringMatching(/^[a-zA-Z0-9._-]{0,70}$/));
  fc.assert(fc.property(text, (name) => {
    assert.equal(labelProblem(name) === undefined, isLabel(name));
    assert.equal(nodeNameProblem(name) === undefined, isNodeName(name));
    assert.ok(!isLabel(name) || isNodeName(name));
  }));
});

Deno.test("reservedNameProblem() keeps the names of every machine, of the API server and of Services", () => {
  const reserved = ["localhost", "a.localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc"];
  for (const name of [...reserved, "kubernetes.default.svc.cluster.local", "x.kube-system.svc"]) {
    assert.notEqual(reservedNameProblem(name), undefined, name);
  }
  for (const name of ["kubernetes-1", "local", "svc", "node.example"]) {
    assert.equal(reservedNameProblem(name), undefined);
  }
});
