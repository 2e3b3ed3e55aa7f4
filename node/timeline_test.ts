import assert from "node:assert/strict";
import { join } from "node:path";
import fc from "fast-check";
import { utf8 } from "../platform/bytes.ts";
import { BootstrapError } from "../platform/errors.ts";
import { createLog, silentLog } from "../platform/log.ts";
import { parseTimeline, PHASE_OUTCOMES, readTimeline, TimelineRecorder } from "./timeline.ts";

const START_MS = Date.UTC(2026, 0, 1);

class TestClock {
  ms = 0;
  now = () => new Date(START_MS + this.ms);
  monotonicMs = () => this.ms;
}

async function withPath(run: (path: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await run(join(folder, "timeline.json"));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("TimelineRecorder keeps start, duration and outcome when phases end", () =>
  withPath(async (path) => {
    const clock = new TestClock();
    const recorder = await TimelineRecorder.open({ path, clock, log: silentLog });
    const given = await recorder.phase("preflight", () => {
      clock.ms = 1500;
      return Promise.resolve("given");
    });
    assert.equal(given, "given");
    const refusal = new BootstrapError("refused/pcr-4", "no");
    const failed = recorder.phase("join", () => {
      clock.ms = 1700;
      return Promise.reject(refusal);
    });
    await assert.rejects(failed, refusal);
    const { phases } = await readTimeline(path);
    assert.deepEqual(phases, [
      { name: "preflight", startMs: START_MS, durationMs: 1500, outcome: "succeeded" },
      { name: "join", startMs: START_MS + 1500, durationMs: 200, outcome: "failed", code: "refused/pcr-4" },
    ]);
    assert.deepEqual(recorder.timeline.phases, phases);
  }));

Deno.test("TimelineRecorder shows a phase on disk while it runs, and parallel and nested phases", () =>
  withPath(async (path) => {
    const recorder = await TimelineRecorder.open({ path, clock: new TestClock(), log: silentLog });
    await recorder.phase("outer", async () => {
      await Promise.all([
        recorder.phase("one", () => Promise.resolve()),
        recorder.phase("two", async () => {
          const running = (await readTimeline(path)).phases.filter(({ outcome }) => outcome === "running");
          assert.deepEqual(running.map(({ name }) => name).includes("two"), true);
        }),
      ]);
    });
    const { phases } = await readTimeline(path);
    assert.deepEqual(phases.map(({ name, outcome }) => [name, outcome]), [
      ["outer", "succeeded"],
      ["one", "succeeded"],
      ["two", "succeeded"],
    ]);
  }));

Deno.test("TimelineRecorder continues an earlier timeline and marks interrupted phases", () =>
  withPath(async (path) => {
    await Deno.writeTextFile(
      path,
      '{"version":1,"phases":[{"name":"a","startMs":1,"durationMs":2,"outcome":"succeeded"},{"name":"b","startMs":3,"outcome":"running"}]}',
    );
    const recorder = await TimelineRecorder.open({ path, clock: new TestClock(), log: silentLog });
    await recorder.phase("c", () => Promise.resolve());
    const { phases } = await readTimeline(path);
    assert.deepEqual(phases.map(({ outcome }) => outcome), ["succeeded", "interrupted", "succeeded"]);
  }));

Deno.test("TimelineRecorder never stops a node when its file is torn or cannot be written", () =>
  withPath(async (path) => {
    const lines: string[] = [];
    const clock = new TestClock();
    const log = createLog(clock, (line) => lines.push(line));
    await Deno.writeTextFile(path, '{"version":1,"pha');
    await TimelineRecorder.open({ path, clock, log });
    const recorder = await TimelineRecorder.open({ path: join(path, "no/folder"), clock, log }).catch(() => undefined);
    assert.equal(await recorder?.phase("x", () => Promise.resolve(5)), 5);
    assert.ok(lines.some((line) => line.includes('"timeline-lost"')));
    assert.ok(lines.some((line) => line.includes('"timeline-not-written"')));
  }));

Deno.test("TimelineRecorder drops the oldest phases when there are more than 500", () =>
  withPath(async (path) => {
    const phases = Array.from(
      { length: 500 },
      (_, i) => ({ name: `p${i}`, startMs: i, durationMs: 1, outcome: "failed" }),
    );
    await Deno.writeTextFile(path, JSON.stringify({ version: 1, phases }));
    const recorder = await TimelineRecorder.open({ path, clock: new TestClock(), log: silentLog });
    await recorder.phase("last", () => Promise.resolve());
    const names = (await readTimeline(path)).phases.map(({ name }) => name);
    assert.equal(names.length, 500);
    assert.deepEqual([names[0], names[499]], ["p1", "last"]);
  }));

Deno.test("readTimeline() gives an empty timeline when there is no file", () =>
  withPath(async (path) => assert.deepEqual(await readTimeline(path), { phases: [] })));

Deno.test("parseTimeline() gives what was written, and refuses everything else", () => {
  const phase = fc.record({
    name: fc.string({ minLength: 1, maxLength: 100 }),
    startMs: fc.nat(),
    outcome: fc.constantFrom(...PHASE_OUTCOMES),
    durationMs: fc.nat(),
  }, { requiredKeys: ["name", "startMs", "outcome"], noNullPrototype: true });
  const text = fc.array(phase).map((phases) => JSON.stringify({ version: 1, phases }));
  const isMalformed = (error: unknown) => error instanceof BootstrapError && error.code === "malformed/timeline";
  fc.assert(fc.property(fc.array(phase), (phases) => {
    assert.deepEqual(parseTimeline(utf8(JSON.stringify({ version: 1, phases })), "it").phases, phases);
  }));
  fc.assert(fc.property(text, fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), (text, part) => {
    assert.throws(() => parseTimeline(utf8(text.slice(0, Math.floor(part * text.length))), "it"), isMalformed);
  }));
  fc.assert(fc.property(fc.uint8Array(), (bytes) => assert.throws(() => parseTimeline(bytes, "it"), isMalformed)));
});
