import assert from "node:assert/strict";
import { MINUTE_MS } from "../platform/duration.ts";
import { BootstrapError } from "../platform/errors.ts";
import { ProgressEvent } from "../proto/gen/bootstrapper.ts";
import { OperationWatch } from "./_operation_watch.ts";

const PATIENCE_MS = 10 * MINUTE_MS;
const LONGEST_MS = 20 * MINUTE_MS;
const lost = new BootstrapError("unavailable/peer-gone", "The peer closed the connection");
const silent = new BootstrapError("timeout/peer", "The peer sent nothing");

/** A watch, and a clock that is set by hand. */
class Watched {
  readonly time = { ms: 0 };
  readonly watch = new OperationWatch({ monotonicMs: () => this.time.ms }, PATIENCE_MS);
  #number = 0;

  /** Hears an event: the step, its state, and the rest as the detail. */
  hear(text: string): boolean {
    const [phase = "", state = "", ...detail] = text.split(" ");
    return this.watch.hear(
      ProgressEvent.fromPartial({ number: ++this.#number, phase, state, detail: detail.join(" ") }),
    );
  }

  /** Follows a connection that reports events, each after a time, and ends with an error. */
  async connected(events: readonly (readonly [ms: number, text: string])[], leftMs = 0, end = lost): Promise<void> {
    const followed = this.watch.following(() => {
      for (const [ms, text] of events) {
        this.time.ms += ms;
        this.hear(text);
      }
      this.time.ms += leftMs;
      return Promise.reject(end);
    });
    await assert.rejects(followed, end);
  }
}

Deno.test("OperationWatch knows that the node is locked when its lock is done, or when it goes on", () => {
  const first = new Watched();
  for (const text of ["preflight started", "preflight detail disk"]) first.hear(text);
  assert.deepEqual([first.watch.isLocked, first.watch.mayBeLocked], [false, false]);
  for (const text of ["preflight done", "lock started"]) {
    first.hear(text);
    assert.deepEqual([first.watch.isLocked, first.watch.mayBeLocked], [false, true], text);
  }
  first.hear("lock done");
  assert.deepEqual([first.watch.isLocked, first.watch.mayBeLocked, first.watch.heard], [true, true, 5]);
  const again = new Watched();
  again.hear("access started");
  assert.equal(again.watch.isLocked, true);
  const recorded = new Watched();
  recorded.watch.goesOn(7);
  assert.deepEqual([recorded.watch.isLocked, recorded.watch.heard], [true, 7]);
});

Deno.test("OperationWatch knows that a node is not locked when it shows itself fresh", () => {
  const watched = new Watched();
  watched.hear("lock started");
  watched.watch.staysFresh();
  assert.equal(watched.watch.mayBeLocked, false);
});

Deno.test("OperationWatch is over without progress for the whole patience, and every progress restarts it", () => {
  const watched = new Watched();
  watched.time.ms = PATIENCE_MS - 1;
  assert.equal(watched.watch.isOver, false);
  assert.equal(watched.hear("kubeadm-init detail"), true);
  watched.time.ms += PATIENCE_MS;
  assert.equal(watched.watch.isOver, true);
});

Deno.test("OperationWatch starts the patience when the node is first asked, and not with each connection", async () => {
  const watched = new Watched();
  watched.time.ms = 2 * PATIENCE_MS;
  await watched.connected([]);
  assert.equal(watched.watch.isOver, false);
  watched.time.ms += PATIENCE_MS;
  await watched.connected([]);
  assert.equal(watched.watch.isOver, true);
});

Deno.test("OperationWatch counts as progress only what it hears for the first time, and never a failure", () => {
  const watched = new Watched();
  const heard: readonly (readonly [text: string, isProgress: boolean])[] = [
    ["kubeadm-init started", true],
    ["kubeadm-init detail certs: Generating", true],
    ["kubeadm-init detail kubelet-check: healthy after 1.5 s", true],
    ["kubeadm-init failed stopped", false],
    ["kubeadm-init started", false],
    ["kubeadm-init detail certs: Generating", false],
    ["kubeadm-init detail kubelet-check: healthy after 2.25 s", false],
    ["kubeadm-init detail addons: Applied", true],
    ["kubeadm-init waiting try 1 failed", false],
    ["kubeadm-init done", true],
    ["kubeadm-init started", false],
    ["kubeadm-init done", false],
    ["access started", true],
  ];
  assert.deepEqual(heard.map(([text]) => [text, watched.hear(text)]), heard);
});

Deno.test("OperationWatch is over within the patience when a node crashes again and again", async () => {
  const lives: readonly (readonly [what: string, downMs: number, upMs: number])[] = [
    ["it is down for long", MINUTE_MS, MINUTE_MS / 2],
    ["it works for long", 1, 2 * MINUTE_MS],
  ];
  for (const [what, downMs, upMs] of lives) {
    const watched = new Watched();
    // The first try of the step does not count: the node works.
    await watched.connected([[0, "kubeadm-init started"], [0, "kubeadm-init detail certs"]], upMs);
    const begunMs = watched.time.ms;
    while (!watched.watch.isOver && watched.time.ms < 10 * PATIENCE_MS) {
      watched.time.ms += downMs;
      await watched.connected([[0, "kubeadm-init started"], [0, "kubeadm-init detail certs"]], upMs);
    }
    const lastedMs = watched.time.ms - begunMs;
    assert.ok(lastedMs >= PATIENCE_MS && lastedMs <= PATIENCE_MS + downMs + upMs, `${what}: ${lastedMs} ms`);
  }
});

Deno.test("OperationWatch gives up on a step that waits when no patience is left", () => {
  const watched = new Watched();
  watched.hear("access started");
  watched.hear("access waiting try 1 failed");
  watched.time.ms = PATIENCE_MS;
  assert.throws(() => watched.hear("access waiting try 2 failed"), { code: "timeout/init-step" });
});

Deno.test("OperationWatch does not count the time in which a connected node does something new, also in a later try", async () => {
  const first = new Watched();
  await first.connected([[PATIENCE_MS / 2, "kubeadm-init started"]], 10 * PATIENCE_MS);
  assert.equal(first.watch.isOver, false);
  first.time.ms += PATIENCE_MS;
  assert.equal(first.watch.isOver, true);

  const later = new Watched();
  for (const text of ["kubeadm-init started", "kubeadm-init waiting try 1 failed"]) later.hear(text);
  later.time.ms += 1_000;
  const each = Array.from({ length: 11 }, () => [MINUTE_MS, "kubeadm-init detail etcd"] as const);
  await later.connected(each);
  assert.equal(later.watch.isOver, false);
});

Deno.test("OperationWatch gives a step that fails after a long first try the whole patience", async () => {
  const watched = new Watched();
  await watched.connected([[0, "kubeadm-init started"], [2 * PATIENCE_MS, "kubeadm-init waiting try 1 failed"]]);
  watched.time.ms += PATIENCE_MS - 1;
  assert.equal(watched.watch.isOver, false);
  watched.time.ms += 1;
  assert.equal(watched.watch.isOver, true);
});

Deno.test("OperationWatch counts the time of a node that is silent for too long, that repeats itself, or whose step waits", async () => {
  const tooLong = new Watched();
  await tooLong.connected([[0, "kubeadm-init started"]], PATIENCE_MS, silent);
  const repeating = new Watched();
  for (const text of ["access started", "access failed", "access started"]) repeating.hear(text);
  await repeating.connected([], PATIENCE_MS);
  const waiting = new Watched();
  waiting.hear("access waiting");
  await waiting.connected([], PATIENCE_MS);
  for (const { watch } of [tooLong, repeating, waiting]) assert.equal(watch.isOver, true);
});

Deno.test("OperationWatch lets a running step be silent for long, and a waiting step only for the rest of the patience", () => {
  const watched = new Watched();
  const silence = (text: string) => (watched.hear(text), watched.watch.silenceMs(LONGEST_MS));
  watched.time.ms = MINUTE_MS;
  assert.equal(watched.watch.silenceMs(LONGEST_MS), PATIENCE_MS - MINUTE_MS);
  assert.equal(watched.watch.silenceMs(1_000), 1_000);
  assert.equal(silence("access started"), LONGEST_MS);
  watched.time.ms += 2 * MINUTE_MS;
  assert.equal(silence("access waiting try 1 failed"), PATIENCE_MS - 2 * MINUTE_MS);
  assert.equal(silence("access started"), LONGEST_MS, "started again, it does not wait");
  assert.equal(silence("access waiting try 1 failed"), PATIENCE_MS - 2 * MINUTE_MS);
  assert.equal(silence("access detail"), LONGEST_MS, "it tries");
  watched.time.ms += 2 * PATIENCE_MS;
  assert.equal(silence("access failed"), 0);
});

Deno.test("OperationWatch names a step that waits in silence, and repeats the advice of its cause", () => {
  const watched = new Watched();
  watched.hear("access waiting try 1 failed: no");
  const cause = new BootstrapError("timeout/peer", "The peer sent nothing", { next: "Look at the node" });
  const { code, details, next } = watched.watch.gaveUp("a:1", cause, {});
  assert.equal(code, "timeout/init");
  assert.deepEqual(details, {
    waitedFor: "the step access of the node at a:1",
    lastSeen: "the step access waiting: try 1 failed: no",
  });
  assert.ok(next.startsWith("Run init again") && next.endsWith("Look at the node"), next);
  const gone = watched.watch.gaveUp("a:1", lost, {});
  assert.equal(gone.details["waitedFor"], "the node at a:1 to go on with the operation");
});

Deno.test("OperationWatch loses its patience with a node that reports something new for ever", () => {
  const watched = new Watched();
  watched.watch.goesOn(0);
  for (let count = 0; count < 100_000 && !watched.watch.isOver; count++) {
    watched.time.ms += 1_000;
    watched.hear(`kubeadm-init detail ${"a".repeat(count % 400)} ${"b".repeat(count / 400)}`);
  }
  assert.ok(watched.watch.isOver);
});
