import assert from "node:assert/strict";
import { fromHex } from "../platform/bytes.ts";
import { assertRefused } from "./testing/certificates.ts";
import { clusterIdOf, clusterIdText, readClusterId } from "./cluster_id.ts";

Deno.test("clusterIdOf() is the SHA-256 of the SPKI, in kubeadm's text form", async () => {
  const id = await clusterIdOf({ spki: fromHex("616263", "spki") });
  const text = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
  assert.equal(clusterIdText(id), text);
  assert.deepEqual(readClusterId(text, "clusterId"), id);
});

for (
  const text of [
    "",
    "sha256:",
    "ab".repeat(32),
    `sha256:${"ab".repeat(31)}`,
    `sha256:${"ab".repeat(33)}`,
    `sha256:${"AB".repeat(32)}`,
    `sha512:${"ab".repeat(32)}`,
    ` sha256:${"ab".repeat(32)}`,
    `sha256:${"ab".repeat(32)}\n`,
  ]
) {
  Deno.test(`readClusterId() refuses ${JSON.stringify(text)}`, async () => {
    const error = await assertRefused(() => readClusterId(text, "clusterId"), "malformed/cluster-id");
    assert.match(error.message, /"clusterId"/);
  });
}

Deno.test("clusterIdText() refuses an ID when it does not have 32 bytes", async () => {
  await assertRefused(() => clusterIdText(new Uint8Array(31)), "internal/cluster-id");
});
