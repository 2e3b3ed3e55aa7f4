/**
 * The real program on a machine whose TPM breaks or falls silent: the process ends, says that it is this machine's own
 * failure, and works again when it is started again.
 */
import assert from "node:assert/strict";
import { stringify } from "yaml";
import { generateKeyPair, privateKeyPem } from "../../../certificate/keys.ts";
import { writePem } from "../../../certificate/pem.ts";
import { waitUntil } from "../../e2e/wait_until.ts";
import { hasSwtpm, startSwtpm } from "../../swtpm.ts";
import { World } from "../../world.ts";
import type { WorldNode } from "../../world_node.ts";
import type { HarmedRun } from "../crash/crash_points.ts";
import { assertRow } from "./_world_table.ts";
import { BOOTSTRAPPER, BootstrapperProcess, CRASHING_RUN, PATIENCE_MS } from "./run_process.ts";

const CONFIGURATION = "/etc/bootstrapper/config.yaml";
const isThere = await hasSwtpm();

interface Shown {
  readonly phase: string;
  readonly error?: { readonly code: string; readonly peer?: string; readonly next?: string };
  readonly lastRefusal?: { readonly code: string };
}

async function statusOf(node: WorldNode): Promise<Partial<Shown>> {
  const { output } = await node.run([...BOOTSTRAPPER, "status", "--output", "json"]);
  const { status }: { status: Shown | null } = JSON.parse(output);
  return status ?? {};
}

async function assertFailed(node: WorldNode, code: string): Promise<void> {
  const { phase, error, lastRefusal } = await statusOf(node);
  assert.deepEqual([phase, error?.code, error?.peer, lastRefusal], ["failed", code, undefined, undefined]);
  assert.notEqual(error?.next ?? "", "");
}

Deno.test({
  name: `run ends when its TPM breaks or falls silent, and works after the next start${
    isThere ? "" : " -- IGNORED: swtpm and swtpm-tools are not installed"
  }`,
  ignore: !isThere,
  async fn() {
    await using tpm = await startSwtpm({ bare: true });
    await using world = await World.create();
    const node = await world.node("cp-1");
    const operator = await generateKeyPair("ed25519");
    await node.write(
      CONFIGURATION,
      stringify({
        version: 1,
        trust: { clusterName: "test", operatorKeys: [writePem("PUBLIC KEY", operator.spki)] },
        evidence: { variant: "tpm", ekType: "rsa2048" },
        allowUnmeasuredImage: true,
      }),
    );
    await node.write("/etc/bootstrapper/operator.key", await privateKeyPem(operator));
    await node.write("/etc/bootstrapper/policy.yaml", "{version: 1, variant: none}\n");
    const harmed: HarmedRun = { config: CONFIGURATION, tpm: tpm.socketPath };
    let starts = 0;
    const start = () =>
      BootstrapperProcess.startProgram(node, [...CRASHING_RUN, JSON.stringify(harmed)], `run-${++starts}`);
    const racing = () =>
      waitUntil({ what: "a node that waits", deadlineMs: PATIENCE_MS }, async () => {
        const { phase } = await statusOf(node);
        return phase === "racing" ? phase : undefined;
      });

    let running = start();
    await racing();
    await tpm.restart();
    const verify = ["verify", "--node", node.ip, "--name", "test", "--key", "/etc/bootstrapper/operator.key"] as const;
    const { code, output } = await node.run([...BOOTSTRAPPER, ...verify, "--policy", "/etc/bootstrapper/policy.yaml"]);
    assert.notEqual(code, 0, output);
    assert.equal(await running.exitCode(), 1, await running.output());
    let { message } = await running.event({ event: "run-failed", code: "system/tpm-transport" });
    await assertRow(node, "TPM breaks", "fresh", String(message));
    await assertFailed(node, "system/tpm-transport");

    await tpm.connect().then((transport) => transport.close());
    running = start();
    await racing();
    assert.equal(await running.kill("SIGTERM"), 0, await running.output());

    tpm.freeze(true);
    running = start();
    assert.equal(await running.exitCode(), 1, await running.output());
    ({ message } = await running.event({ event: "run-failed", code: "system/tpm-silent" }));
    await assertRow(node, "TPM silent", "fresh", String(message));
    await assertFailed(node, "system/tpm-silent");
    tpm.freeze(false);
    running = start();
    await racing();
    assert.equal(await running.kill("SIGTERM"), 0, await running.output());
  },
});
