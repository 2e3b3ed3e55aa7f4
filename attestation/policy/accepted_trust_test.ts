import assert from "node:assert/strict";
import { hex } from "../../platform/bytes.ts";
import type { EvidenceSettings } from "../../protocol/transcript.ts";
import { INSECURE_SWITCHES, trustDigest } from "../../protocol/transcript.ts";
import { acceptedTrust, switchesNotAllowed, trustExpectation } from "./accepted_trust.ts";
import type { Policy } from "./policy.ts";
import { readPolicy } from "./policy.ts";

const cluster = { clusterName: "demo", operatorKeys: [new Uint8Array(44)] };
const [unknown, known] = [new Uint8Array(), new Uint8Array(32).fill(7)];
const tpm = `tpm: { ekType: rsa2048, pcrs: { 4: ["${"a".repeat(64)}"] }, trust: { identities: ["${
  "b".repeat(64)
}"] } }`;
const policyOf = (lines: string) => readPolicy(`version: 1\n${lines}\n`, "the policy");

/** The settings that a policy accepts of nodes, of a list that has all switches with two kinds of evidence. */
async function acceptedOf(policy: Policy): Promise<readonly string[]> {
  const { trust } = await trustExpectation(acceptedTrust(policy, "node"), cluster, [unknown, known]);
  const switches = [[], ["allowInsecure"], ["allowUnmeasuredImage"], INSECURE_SWITCHES] as const;
  const settings: readonly EvidenceSettings[] = ["tpm", "none"].flatMap((variant) =>
    switches.map((on) => ({ variants: [variant], switches: on }))
  );
  const found: string[] = [];
  for (const one of settings) {
    const digests = await Promise.all(
      [unknown, known].map((clusterId) => trustDigest({ ...cluster, clusterId, ...one })),
    );
    const matches = digests.filter((digest) => trust.some((allowed) => hex(allowed) === hex(digest)));
    assert.ok(matches.length === 0 || matches.length === 2);
    if (matches.length > 0) found.push([...one.variants, ...one.switches].join(" "));
  }
  assert.equal(trust.length, 2 * found.length);
  return found;
}

Deno.test("trustExpectation() accepts the kinds of the policy, and a switch only where the policy allows it by name", async () => {
  assert.deepEqual(await acceptedOf(policyOf(`variant: tpm\n${tpm}`)), ["tpm"]);
  assert.deepEqual(await acceptedOf(policyOf(`variant: tpm\nallowUnmeasuredImage: false\n${tpm}`)), ["tpm"]);
  const unmeasured = policyOf(`variant: tpm\nallowUnmeasuredImage: true\n${tpm}`);
  assert.deepEqual(await acceptedOf(unmeasured), ["tpm", "tpm allowUnmeasuredImage"]);
});

Deno.test("trustExpectation() accepts a machine without proof only with the switch that allows it", async () => {
  assert.deepEqual(await acceptedOf(policyOf("variant: none")), ["none allowInsecure"]);
  const unmeasured = policyOf("variant: none\nallowUnmeasuredImage: true");
  assert.deepEqual(await acceptedOf(unmeasured), ["none allowInsecure", "none allowInsecure allowUnmeasuredImage"]);
});

Deno.test("trustExpectation() recognises every other configuration of the cluster, and none that it accepts", async () => {
  const accepted = acceptedTrust(policyOf(`variant: tpm\n${tpm}`), "node");
  const { trust, otherTrust } = await trustExpectation(accepted, cluster, [unknown, known]);
  const others = await otherTrust?.() ?? [];
  const values = new Set(others.flatMap((one) => one.values));
  assert.ok(trust.every((digest) => !values.has(hex(digest))));
  const shown = async (settings: EvidenceSettings) => {
    const digest = hex(await trustDigest({ ...cluster, clusterId: known, ...settings }));
    return others.find((one) => one.values.includes(digest))?.meaning;
  };
  assert.equal(
    await shown({ variants: ["tpm"], switches: ["allowUnmeasuredImage"] }),
    "evidence.variant tpm, with allowUnmeasuredImage: true",
  );
  assert.match(
    await shown({ variants: ["none"], switches: ["allowInsecure"] }) ?? "",
    /variant none, with allowInsecure/,
  );
  assert.equal(await shown({ variants: ["tpm"], switches: [] }), undefined);
  assert.equal(others[0]?.expected, "evidence.variant tpm, without switches that weaken a check");
});

Deno.test("switchesNotAllowed() returns the switches that neither the kinds of evidence imply nor the policy allows", () => {
  const of = (lines: string) => switchesNotAllowed(acceptedTrust(policyOf(lines), "init"), INSECURE_SWITCHES);
  assert.deepEqual(of(`variant: tpm\n${tpm}`), INSECURE_SWITCHES);
  assert.deepEqual(of("variant: none"), ["allowUnmeasuredImage"]);
  assert.deepEqual(of("variant: none\nallowUnmeasuredImage: true"), []);
});

Deno.test("trustExpectation() expects the founding of the cluster in D12, and recognises other settings with it", async () => {
  const accepted = acceptedTrust(policyOf(`variant: tpm\n${tpm}`), "node");
  const founding = { size: 3, policyDigest: new Uint8Array(32).fill(1), tokenKey: new Uint8Array(44).fill(2) };
  const { trust, otherTrust } = await trustExpectation(accepted, { ...cluster, founding }, [unknown, known]);
  const digestOf = async (clusterId: Uint8Array, switches: EvidenceSettings["switches"], founded = {}) =>
    hex(await trustDigest({ ...cluster, clusterId, variants: ["tpm"], switches, ...founded }));
  assert.deepEqual(trust.map(hex), [
    await digestOf(unknown, [], { founding }),
    await digestOf(known, [], { founding }),
  ]);
  const values = (await otherTrust?.() ?? []).flatMap((one) => one.values);
  assert.ok(values.includes(await digestOf(known, ["allowUnmeasuredImage"], { founding })));
  assert.ok(!values.includes(await digestOf(known, ["allowUnmeasuredImage"])));
});
