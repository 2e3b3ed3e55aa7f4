import assert from "node:assert/strict";
import type { StoredAdmission } from "../../kubernetes/node_admissions.ts";
import { hasRegister, isSucceeded, type NodesOptions, nodesText, shownNode } from "../programs/nodes.ts";
import { TestWorld } from "../testing/command_line.ts";
import { nodes } from "./nodes.ts";

const IMAGE = "868b6d3af912acebb59ff6dbdfb9befeb758beab28b0b5431471539c47f8f519";

Deno.test("nodes reads its options, with their defaults", async () => {
  const seen: NodesOptions[] = [];
  await using world = await TestWorld.create({
    commands: [{ ...nodes, action: (options: NodesOptions) => Promise.resolve(void seen.push(options)) }],
  });
  assert.equal(await world.run("nodes", "--kubeconfig", "kc"), 0, world.err);
  const all = [
    "--kubeconfig",
    "kc",
    "--image",
    IMAGE.toUpperCase(),
    "--pcr",
    "11=868b6d3a",
    "--all",
    "--output",
    "json",
  ];
  assert.equal(await world.run("nodes", ...all), 0, world.err);
  assert.deepEqual(seen, [
    { kubeconfigFile: "kc", registers: [], all: false, output: "text" },
    {
      ...{ kubeconfigFile: "kc", all: true, output: "json" },
      registers: [{ value: IMAGE }, { name: "pcr11", value: "868b6d3a" }],
    },
  ]);
});

Deno.test("nodes refuses a register of the wrong form, and shows it", async () => {
  await using world = await TestWorld.create();
  for (
    const [option, value] of [["--image", "abc"], ["--image", "zz".repeat(32)], ["--pcr", "24=868b6d3a"], [
      "--pcr",
      "11",
    ], ["--pcr", "11="]]
  ) {
    assert.equal(await world.run("nodes", "--kubeconfig", "kc", option ?? "", value ?? ""), 2);
    assert.ok(world.err.includes("usage/register") && world.err.includes(value ?? "-"), world.err);
  }
  assert.equal(await world.run("nodes"), 2);
});

const admission: StoredAdmission = {
  ...{ name: "1d".repeat(32), uid: "u", resourceVersion: "1" },
  record: {
    ...{ identity: "1d".repeat(32), nodeName: "worker-1", role: "worker", nodeKey: "", addresses: ["10.0.0.1"] },
    ...{ evidenceDigest: "", registers: { pcr4: "ab".repeat(32), pcr11: IMAGE }, attestedMs: 1_000 },
  },
  status: { untilMs: 5_000 },
};

Deno.test("hasRegister() finds a value in any register, or in the named one only", () => {
  const { record } = admission;
  assert.ok(hasRegister(record, { value: IMAGE }));
  assert.ok(hasRegister(record, { value: "abababab" }));
  assert.ok(hasRegister(record, { name: "pcr11", value: "868b6d3a" }));
  assert.ok(!hasRegister(record, { name: "pcr4", value: "868b6d3a" }));
  assert.ok(!hasRegister(record, { name: "pcr9", value: "868b6d3a" }));
  assert.ok(!hasRegister({ ...record, registers: {} }, { value: IMAGE }));
});

Deno.test("shownNode() says whether a node's certificates have ended, and whether it was removed", () => {
  assert.equal(shownNode(admission, 4_999).state, "Admitted");
  assert.equal(shownNode(admission, 5_000).state, "Expired");
  assert.equal(shownNode({ ...admission, removedMs: 1 }, 0).state, "Removed");
  assert.equal(shownNode({ ...admission, status: {} }, 0).state, "Pending");
});

Deno.test("shownNode() says of an adopted node that nothing is proven, until a machine has taken it over", () => {
  const record = { ...admission.record, identity: "ad".repeat(32), adoptedMs: 1 };
  const adopted = { ...admission, name: record.identity, record, status: {} };
  assert.equal(shownNode(adopted, 0).state, "Adopted");
  assert.equal(isSucceeded(adopted, [adopted]), false);
  assert.equal(isSucceeded(adopted, [adopted, admission]), true);
  assert.equal(isSucceeded(adopted, [adopted, { ...admission, removedMs: 1 }]), false);
  assert.equal(isSucceeded(admission, [adopted, admission]), false);
});

Deno.test("nodesText() is a table with a row for each node", () => {
  assert.equal(
    nodesText([shownNode(admission, 0)]),
    [
      "NODE      ROLE    STATE     ATTESTED             UNTIL                IMAGE         IDENTITY",
      "worker-1  worker  Admitted  1970-01-01T00:00:01  1970-01-01T00:00:05  868b6d3af912  1d1d1d1d1d1d",
    ].join("\n"),
  );
  assert.equal(nodesText([]), "No node matches.");
});
