import assert from "node:assert/strict";
import { BootstrapError } from "../platform/errors.ts";
import { ProgressEvent } from "../proto/gen/bootstrapper.ts";
import { OperationWatch } from "./_operation_watch.ts";

const PATIENCE_MS = 1_000;
const lost = new BootstrapError("unavailable/peer-gone", "The peer closed the connection");

/** A watch with a clock that is set by hand. */
function watchAt(): { readonly watch: OperationWatch; readonly time: { ms: number }; hear(text: string): boolean } {
  const time = { ms: 0 };
  const watch = new OperationWatch({ monotonicMs: () => time.ms }, PATIENCE_MS);
  let number = 0;
  return {
    ...{ watch, time },
    hear(text) {
      const [phase = "", state = ""] = text.split(" ");
      return watch.hear(ProgressEvent.fromPartial({ number: ++number, phase, state }));
    },
  };
}

Deno.test("OperationWatch knows the node as locked from the end of the lock on, or when it goes on", () => {
  const { watch, hear } = watchAt();
  for (const text of ["preflight started", "preflight done", "lock started"]) hear(text);
  assert.equal(watch.isLocked, false);
  hear("lock done");
  assert.deepEqual([watch.isLocked, watch.heard], [true, 4]);
  const again = watchAt();
  again.hear("access started");
  assert.equal(again.watch.isLocked, true);
  const recorded = watchAt();
  recorded.watch.goesOn(7);
  assert.deepEqual([recorded.watch.isLocked, recorded.watch.heard], [true, 7]);
});

Deno.test("OperationWatch is over when nothing comes for as long as there is patience, and every progress begins it anew", () => {
  const { watch, time, hear } = watchAt();
  time.ms = PATIENCE_MS - 1;
  assert.equal(watch.isOver, false);
  assert.equal(hear("kubeadm-init detail"), true);
  time.ms += PATIENCE_MS;
  assert.equal(watch.isOver, true);
});

Deno.test("OperationWatch takes nothing for progress of a step that waits for another try, until it is done", () => {
  const { watch, time, hear } = watchAt();
  hear("access started");
  assert.equal(hear("access waiting"), false);
  time.ms = PATIENCE_MS;
  assert.equal(hear("access detail"), false);
  assert.throws(() => hear("access waiting"), { code: "timeout/init-step" });
  assert.equal(hear("access done"), true);
  assert.equal(hear("access started"), true);
  assert.equal(watch.isOver, false);
});

Deno.test("OperationWatch does not count the time in which a node is connected and works, however long a step takes", async () => {
  const { watch, time } = watchAt();
  const connected = (ms: number, end: BootstrapError) =>
    assert.rejects(
      watch.following(() => {
        time.ms += ms;
        return Promise.reject(end);
      }),
      end,
    );
  time.ms = PATIENCE_MS / 2;
  await connected(10 * PATIENCE_MS, lost);
  assert.equal(watch.isOver, false);
  time.ms += PATIENCE_MS / 2;
  assert.equal(watch.isOver, true);
});

Deno.test("OperationWatch counts the time of a node that is connected and silent for too long, or whose step waits", async () => {
  const silent = watchAt();
  const tooLong = new BootstrapError("timeout/peer", "The peer sent nothing");
  const during = ({ watch, time }: typeof silent, end: BootstrapError) =>
    assert.rejects(
      watch.following(() => {
        time.ms += PATIENCE_MS;
        return Promise.reject(end);
      }),
      end,
    );
  await during(silent, tooLong);
  assert.equal(silent.watch.isOver, true);
  const waiting = watchAt();
  waiting.hear("access waiting");
  await during(waiting, lost);
  assert.equal(waiting.watch.isOver, true);
});
