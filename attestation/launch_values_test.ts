import { TPM_SETTINGS } from "./testing/trust.ts";
import assert from "node:assert/strict";
import { concat, sha256 } from "../platform/bytes.ts";
import { launchValues } from "./launch_values.ts";
import { trustDigest } from "../protocol/transcript.ts";

Deno.test("launchValues() are D12 extended, D12 itself, and D12 with 16 zero bytes", async () => {
  const trust = {
    clusterName: "demo",
    clusterId: new Uint8Array(32).fill(7),
    operatorKeys: [Uint8Array.of(1)],
    ...TPM_SETTINGS,
  };
  const digest = await trustDigest(trust);
  assert.deepEqual(await launchValues(trust), [
    { key: "pcr12", isLaunchValue: false, value: await sha256(new Uint8Array(32), digest) },
    { key: "hostData", isLaunchValue: true, value: digest },
    { key: "mrConfigId", isLaunchValue: true, value: concat(digest, new Uint8Array(16)) },
  ]);
});
