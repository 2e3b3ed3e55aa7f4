import assert from "node:assert/strict";
import { BootstrapError } from "../platform/errors.ts";
import { createLog } from "../platform/log.ts";
import { systemClock } from "../platform/clock.ts";
import { OwnRights } from "./own_rights.ts";

const notYet = () => new BootstrapError("unavailable/kubernetes-rights", "not yet");

function watched(probe: () => Promise<unknown>) {
  let nowMs = 0;
  const lines: string[] = [];
  const clock = { monotonicMs: () => nowMs, sleep: (ms: number) => Promise.resolve(void (nowMs += ms)) };
  const log = createLog(systemClock, (line) => lines.push(JSON.parse(line).event));
  return { rights: new OwnRights({ probe, clock, log }), lines };
}

Deno.test("OwnRights refuses exchanges, for now, until the API server grants everything", async () => {
  const refusals: unknown[] = [];
  const failures = [notYet(), notYet(), new BootstrapError("unavailable/kubernetes-api", "no answer")];
  const { rights, lines } = watched(() => {
    assert.throws(() => rights.check(), (error) => (refusals.push(error), true));
    const error = failures.shift();
    return error === undefined ? Promise.resolve() : Promise.reject(error);
  });
  assert.throws(() => rights.check(), { code: "unavailable/join-service-starting", retriable: true });
  await rights.run(new AbortController().signal);
  rights.check();
  assert.equal(refusals.length, 4);
  assert.deepEqual(lines, ["join-signer-waits", "join-signer-waits", "join-signer-ready"]);
});

Deno.test("OwnRights takes exchanges after minutes, so that each says by itself what it lacks", async () => {
  for (const error of [notYet(), new BootstrapError("unauthorized/kubernetes-api", "no"), new TypeError("bug")]) {
    const { rights, lines } = watched(() => Promise.reject(error));
    await rights.run(new AbortController().signal);
    rights.check();
    assert.equal(lines.at(-1), "join-signer-lacks-rights");
  }
});

Deno.test("OwnRights ends when the service is stopped", async () => {
  const stop = new AbortController();
  const { rights } = watched(() => {
    stop.abort();
    return Promise.reject(notYet());
  });
  await rights.run(stop.signal);
});
