import assert from "node:assert/strict";
import { readPolicy } from "../attestation/policy/policy.ts";
import { createLog } from "../platform/log.ts";
import { policyLog } from "./policy_log.ts";

Deno.test("policyLog() says on every line what the policy in force does not check, also after a change of the policy", () => {
  const lines: Record<string, unknown>[] = [];
  const base = createLog({ now: () => new Date(0) }, (line) => lines.push(JSON.parse(line)));
  const [none, unmeasured] = ["", ", allowUnmeasuredImage: true"].map((more) =>
    readPolicy(`{version: 1, variant: none${more}}`, "it")
  );
  assert.ok(none !== undefined && unmeasured !== undefined);
  let policy = none;
  const log = policyLog(base, () => policy);
  const node = log.with({ node: "one" });
  node.event("info", "first", { peer: "two" });
  policy = unmeasured;
  node.event("info", "second");
  log.event("warn", "third");
  assert.deepEqual(lines.map(({ event, node, peer }) => [event, node, peer]), [
    ["first", "one", "two"],
    ["second", "one", undefined],
    ["third", undefined, undefined],
  ]);
  assert.ok(lines.every(({ insecure }) => insecure === "evidence is not verified: variant none"));
  assert.deepEqual(lines.map((line) => String(line["unmeasured"]).split(":")[0]), [
    "undefined",
    "UNMEASURED",
    "UNMEASURED",
  ]);
});
