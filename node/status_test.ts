import assert from "node:assert/strict";
import { join } from "node:path";
import fc from "fast-check";
import { utf8 } from "../platform/bytes.ts";
import { BootstrapError } from "../platform/errors.ts";
import { createLog, silentLog } from "../platform/log.ts";
import { parseStatus, readStatus, statusRefusal, StatusWriter } from "./status.ts";

const clock = { now: () => new Date(Date.UTC(2026, 0, 1)) };

async function withFolder(run: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await run(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("StatusWriter keeps facts that a change does not name, and removes those that are undefined", () =>
  withFolder(async (folder) => {
    const path = join(folder, "status.json");
    assert.equal(await readStatus(path), undefined);
    const writer = new StatusWriter({ path, clock, log: silentLog });
    await writer.update({ phase: "racing", nodeName: "one", waitsFor: "an operator, or a join service" });
    const refused = new BootstrapError("refused/pcr-4", "PCR 4 is wrong", {
      next: "Compare",
      details: { check: "pcr", expected: "00", seen: "11" },
    });
    await writer.update({ lastRefusal: statusRefusal(refused, clock.now(), "10.0.0.1:9444") });
    await writer.update({ phase: "joining", owner: "join", clusterId: new Uint8Array(32), waitsFor: undefined });
    assert.deepEqual(await readStatus(path), {
      version: 3,
      updated: "2026-01-01T00:00:00.000Z",
      phase: "joining",
      nodeName: "one",
      owner: "join",
      clusterId: `sha256:${"00".repeat(32)}`,
      lastRefusal: {
        time: "2026-01-01T00:00:00.000Z",
        peer: "10.0.0.1:9444",
        code: "refused/pcr-4",
        message: "PCR 4 is wrong",
        retriable: false,
        next: "Compare",
        details: { check: "pcr", expected: "00", seen: "11" },
      },
    });
  }));

Deno.test("StatusWriter writes in order when it is not waited for", () =>
  withFolder(async (folder) => {
    const path = join(folder, "status.json");
    const writer = new StatusWriter({ path, clock, log: silentLog });
    await Promise.all(Array.from({ length: 20 }, (_, i) => writer.update({ waitsFor: String(i) })));
    assert.equal((await readStatus(path))?.waitsFor, "19");
  }));

Deno.test("StatusWriter never throws when the file cannot be written", () =>
  withFolder(async (folder) => {
    const lines: string[] = [];
    const log = createLog(clock, (line) => lines.push(line));
    await new StatusWriter({ path: join(folder, "no/folder"), clock, log }).update({ phase: "member" });
    assert.match(lines.join(), /"status-not-written"/);
  }));

Deno.test("statusRefusal() stays readable and small whatever a peer's texts are", () =>
  withFolder(async (folder) => {
    const path = join(folder, "status.json");
    const writer = new StatusWriter({ path, clock, log: silentLog });
    const text = fc.string({ unit: "binary", maxLength: 3000 });
    await fc.assert(
      fc.asyncProperty(text, text, fc.dictionary(text, text, { maxKeys: 40 }), async (message, next, details) => {
        const check = { check: next, expected: message, seen: next, message };
        const checks = Array.from({ length: 100 }, () => check);
        const error = new BootstrapError("refused/pcr-4", message, { next, details, checks });
        await writer.update({ lastRefusal: statusRefusal(error, clock.now(), message) });
        assert.equal((await readStatus(path))?.lastRefusal?.code, "refused/pcr-4");
      }),
      { numRuns: 30 },
    );
  }));

Deno.test("parseStatus() refuses everything that is not a status", () => {
  const isMalformed = (error: unknown) => error instanceof BootstrapError && error.code === "malformed/status";
  const valid = '{"version":1,"updated":"2026-01-01T00:00:00.000Z","phase":"member"}';
  assert.equal(parseStatus(utf8(valid), "it").phase, "member");
  fc.assert(fc.property(fc.nat(valid.length - 1), (length) => {
    assert.throws(() => parseStatus(utf8(valid.slice(0, length)), "it"), isMalformed);
  }));
  for (const [from, to] of [["member", "membre"], ["1,", "4,"], ["}", ',"more":1}'], ["2026", "long ago"]] as const) {
    assert.throws(() => parseStatus(utf8(valid.replace(from, to)), "it"), isMalformed);
  }
  fc.assert(fc.property(fc.uint8Array(), (bytes) => assert.throws(() => parseStatus(bytes, "it"), isMalformed)));
});
