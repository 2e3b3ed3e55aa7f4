import assert from "node:assert/strict";
import * as v from "valibot";
import { registrationOf, registrationSchema } from "./registration_schema.ts";

Deno.test("registrationOf() makes of labels and taints what kubeadm's nodeRegistration has", () => {
  assert.equal(registrationOf({}), undefined);
  const taints = [{ key: "dedicated", value: "db", effect: "NoSchedule" }, {
    key: "gpu",
    effect: "NoExecute",
  }] as const;
  const labels = { zone: "a", "example.org/pool": "" };
  assert.deepEqual(registrationOf({ labels, taints }), {
    kubeletExtraArgs: [{ name: "node-labels", value: "zone=a,example.org/pool=" }],
    taints,
  });
  // No taints at all is said too: a control plane then runs everybody's Pods.
  assert.deepEqual(registrationOf({ taints: [] }), { taints: [] });
});

Deno.test("labels that a kubelet may not give itself are refused, as kubeadm's node would not register", () => {
  const isTaken = (key: string, value = "x") => v.safeParse(registrationSchema, { labels: { [key]: value } }).success;
  for (
    const key of [
      ...["zone", "example.org/zone", "topology.kubernetes.io/zone", "node.kubernetes.io/instance-type"],
      ...["a.node.kubernetes.io/x", "kubernetes.io.example.org/x"],
    ]
  ) assert.ok(isTaken(key), key);
  for (
    const key of [
      ...["node-role.kubernetes.io/worker", "k8s.io/x", "x.k8s.io/y", "kubernetes.io/role", "", "/x", "a/b/c", "-a"],
      ...["a b", "é", "x,y", "x=y", "A.example/x", `${"a".repeat(64)}`],
    ]
  ) assert.ok(!isTaken(key), key);
  for (const value of ["a b", "a,b", "-", "x".repeat(64)]) assert.ok(!isTaken("zone", value), value);
  const many = Object.fromEntries(Array.from({ length: 65 }, (_, index) => [`l${index}`, ""]));
  assert.ok(!v.safeParse(registrationSchema, { labels: many }).success);
});

Deno.test("taints are kubeadm's, and nothing else stands beside them", () => {
  const isTaken = (taint: unknown) => v.safeParse(registrationSchema, { taints: [taint] }).success;
  for (const taint of [{ key: "a", effect: "NoSchedule" }, { key: "example.org/a", value: "", effect: "NoExecute" }]) {
    assert.ok(isTaken(taint));
  }
  const wrong = [
    ...["a=b:NoSchedule", {}, { key: "a" }, { key: "", effect: "NoSchedule" }, { key: "a", effect: "noschedule" }],
    ...[{ key: "a", value: "b c", effect: "NoSchedule" }, { key: "a", effect: "NoSchedule", timeAdded: "x" }],
  ];
  for (const taint of wrong) assert.ok(!isTaken(taint), JSON.stringify(taint));
  assert.ok(!v.safeParse(registrationSchema, { kubeletExtraArgs: [] }).success);
});
