import assert from "node:assert/strict";
import { systemClock } from "../platform/clock.ts";
import { BootstrapError } from "../platform/errors.ts";
import { startKubelet, waitForKubelet, waitForOwnNode } from "./readiness.ts";

const codeIs = (code: string) => (error: unknown) => error instanceof BootstrapError && error.code === code;

Deno.test("waitForKubelet() waits until it is healthy when it answers an error first", async () => {
  let asked = 0;
  const kubelet = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, () => {
    asked++;
    return new Response(null, { status: asked < 3 ? 500 : 200 });
  });
  await waitForKubelet({ clock: systemClock, deadlineMs: 10_000 }, `http://127.0.0.1:${kubelet.addr.port}/healthz`);
  assert.equal(asked, 3);
  await kubelet.shutdown();
});

Deno.test("waitForKubelet() ends with timeout/kubelet when no kubelet listens", async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const url = `http://127.0.0.1:${listener.addr.port}/healthz`;
  listener.close();
  await assert.rejects(waitForKubelet({ clock: systemClock, deadlineMs: 0 }, url), codeIs("timeout/kubelet"));
});

Deno.test("waitForOwnNode() ends with timeout/node when the kubelet gets no credentials", async () => {
  const wait = { clock: systemClock, deadlineMs: 0 };
  await assert.rejects(waitForOwnNode("a", "ready", wait, "/nonexistent/kubelet.conf"), codeIs("timeout/node"));
});

Deno.test("startKubelet() makes systemd start the kubelet now and at every boot", async () => {
  const calls: (readonly string[])[] = [];
  await startKubelet({
    run(argv) {
      calls.push(argv);
      return Promise.resolve({ code: 0, stdout: "", stderr: "" });
    },
  }, 1000);
  assert.deepEqual(calls, [["systemctl", "enable", "--now", "kubelet.service"]]);
});
