import assert from "node:assert/strict";
import { sleepingClock } from "../platform/testing/sleeping_clock.ts";
import { systemClock } from "../platform/clock.ts";
import { BootstrapError } from "../platform/errors.ts";
import type { ErrorCode } from "../platform/errors.ts";
import type { StepRetries, StepWait } from "./step_retries.ts";
import { PERHAPS_PERMANENT_MS, retryingSteps } from "./step_retries.ts";

/** A journal in memory that also records the waits. */
class Heard {
  readonly events: string[] = [];
  readonly waits: (StepWait | undefined)[] = [];

  /** Runs a step that fails with these errors, in order, and then works. */
  run(errors: readonly Error[], retries: Partial<StepRetries> = {}): Promise<string> {
    const left = [...errors];
    const journal = {
      doneAt: () => undefined,
      phase: async <T>(name: string, work: () => Promise<T>) => {
        this.events.push(`${name} started`);
        const result = await work();
        this.events.push(`${name} done`);
        return result;
      },
      waiting: (name: string, detail: string) => this.events.push(`${name} ${detail}`),
    };
    const steps = retryingSteps(journal, {
      clock: sleepingClock().clock,
      random: () => 0.5,
      signal: new AbortController().signal,
      onWaiting: (wait) => this.waits.push(wait),
      ...retries,
    });
    return steps.phase("access", () => {
      const error = left.shift();
      return error === undefined ? Promise.resolve("made") : Promise.reject(error);
    });
  }
}

const slowEtcd = new BootstrapError(
  "unavailable/kubernetes-api",
  "POST /api/v1/namespaces/kube-system/configmaps was refused with 500: etcdserver: request timed out",
);

Deno.test("retryingSteps() retries a step until it works, and reports each failed try, its reason, and the next try", async () => {
  const heard = new Heard();
  const refused = new BootstrapError("unavailable/kubernetes-api", "Cannot reach https://192.0.2.1:6443", {
    cause: new TypeError("connection refused"),
  });
  assert.equal(await heard.run([slowEtcd, refused]), "made");
  assert.deepEqual(heard.events, [
    "access started",
    `access try 1 failed: ${slowEtcd.message}; next try in 0.3 s`,
    "access try 2 failed: Cannot reach https://192.0.2.1:6443: connection refused; next try in 0.5 s",
    "access done",
  ]);
  assert.deepEqual(heard.waits, [
    { step: "access", error: slowEtcd, failures: 1, pauseMs: 250 },
    { step: "access", error: refused, failures: 2, pauseMs: 500 },
    undefined,
  ]);
});

Deno.test("retryingSteps() reports no wait when a step works at once", async () => {
  const heard = new Heard();
  await heard.run([]);
  assert.deepEqual([heard.events, heard.waits], [["access started", "access done"], []]);
});

Deno.test("retryingSteps() retries when the API server has just started or the object has changed", async () => {
  for (const code of ["unauthorized/kubernetes-api", "conflict/changed"] as const) {
    const heard = new Heard();
    assert.equal(await heard.run([new BootstrapError(code, "not now")]), "made");
    assert.equal(heard.waits.length, 2);
  }
});

Deno.test("retryingSteps() reports with each wait what a person can do", async () => {
  const heard = new Heard();
  await heard.run([new BootstrapError("unavailable/kubernetes-api", "busy", { next: "Look at etcd" })]);
  assert.deepEqual(heard.events[1], "access try 1 failed: busy; next try in 0.3 s. Look at etcd");
});

Deno.test("retryingSteps() ends a step, and says why, when the API server refuses every try for too long", async () => {
  const refusals = [
    new BootstrapError("unauthorized/kubernetes-api", "GET /x was refused with 403: no"),
    new BootstrapError("conflict/changed", "PUT /x was refused with 409: changed"),
    new BootstrapError("unavailable/kubernetes-api-tls", "The TLS is refused", { next: "Look at the certificate" }),
    new BootstrapError("timeout/node", "The Node was not registered", {
      cause: new BootstrapError("unavailable/kubernetes-api-tls", "The TLS is refused"),
    }),
  ];
  for (const refusal of refusals) {
    const heard = new Heard();
    const { clock, slept } = sleepingClock();
    await assert.rejects(heard.run(Array(1_000).fill(refusal), { clock }), (error: unknown) => {
      assert(error instanceof BootstrapError);
      assert.deepEqual([error.code, error.retriable, error.cause], ["system/init-step", false, refusal]);
      assert.ok(error.message.includes("The step access was refused for 5 minutes: " + refusal.message), error.message);
      return error.next !== "" && (refusal.next === "" || error.next === refusal.next);
    });
    const lastedMs = slept.reduce((sum, ms) => sum + ms, 0);
    assert.ok(lastedMs >= PERHAPS_PERMANENT_MS && lastedMs <= PERHAPS_PERMANENT_MS + 10_000, `${lastedMs} ms`);
  }
});

Deno.test("retryingSteps() restarts the time of refusals when a try fails with another error", async () => {
  const refusal = new BootstrapError("unauthorized/kubernetes-api", "not yet");
  const heard = new Heard();
  const many = Array(25).fill(refusal);
  assert.equal(await heard.run([...many, slowEtcd, ...many]), "made");
});

Deno.test("retryingSteps() keeps retrying for as long as the error says that it is retriable", async () => {
  const heard = new Heard();
  const { clock, slept } = sleepingClock();
  assert.equal(await heard.run(Array(100).fill(slowEtcd), { clock }), "made");
  assert.ok(slept.reduce((sum, ms) => sum + ms, 0) > 2 * PERHAPS_PERMANENT_MS);
});

Deno.test("retryingSteps() ends at once with an error that time cannot fix", async () => {
  const codes: readonly ErrorCode[] = [
    ...[
      "system/kubeadm",
      "system/file",
      "malformed/kubernetes-api",
      "conflict/identity",
      "internal/unexpected",
    ] as const,
  ];
  for (const code of codes) {
    const heard = new Heard();
    const error = new BootstrapError(code, "never");
    await assert.rejects(heard.run([slowEtcd, error]), error);
    assert.equal(heard.waits.length, 1, code);
  }
});

Deno.test("retryingSteps() ends at once when it is aborted in the pause between two tries", async () => {
  const heard = new Heard();
  const stopping = new AbortController();
  const reason = new BootstrapError("aborted/run", "stopped");
  const never = { ...systemClock, sleep: (_ms: number, signal?: AbortSignal) => systemClock.sleep(3_600_000, signal) };
  const onWaiting = () => queueMicrotask(() => stopping.abort(reason));
  await assert.rejects(heard.run([slowEtcd], { clock: never, signal: stopping.signal, onWaiting }), reason);
  assert.equal(heard.events.length, 2);
});
