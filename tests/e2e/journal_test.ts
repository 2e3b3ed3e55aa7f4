import assert from "node:assert/strict";
import { join } from "node:path";
import { Journal } from "./journal.ts";

const entry = (message: unknown, extra: object = {}) =>
  JSON.stringify({
    MESSAGE: message,
    PRIORITY: "6",
    SYSLOG_IDENTIFIER: "bootstrapper",
    _SYSTEMD_UNIT: "bootstrapper.service",
    _BOOT_ID: "b1",
    __REALTIME_TIMESTAMP: "1795227983622408",
    ...extra,
  }) + "\n";

Deno.test("Journal returns entries as they arrive, even in pieces or after the incomplete line of a killed VM", async () => {
  await inFolder(async (file) => {
    const journal = new Journal(file);
    assert.deepEqual(await journal.entries(), []);
    const whole = entry("grüße");
    const bytes = new TextEncoder().encode(whole);
    await Deno.writeFile(file, bytes.subarray(0, 15));
    assert.equal(await journal.position(), 0);
    await Deno.writeFile(file, bytes.subarray(15), { append: true });
    assert.deepEqual(await journal.entries(), [{
      time: new Date(1795227983622.408),
      boot: "b1",
      unit: "bootstrapper.service",
      identifier: "bootstrapper",
      priority: 6,
      message: "grüße",
    }]);
    await Deno.writeTextFile(file, `${whole.slice(0, 30)}\n${entry("second boot", { _BOOT_ID: "b2" })}`, {
      append: true,
    });
    assert.deepEqual((await journal.entries()).map((seen) => [seen.boot, seen.message]), [["b1", "grüße"], [
      "b2",
      "second boot",
    ]]);
  });
});

Deno.test("Journal reads bytes and repeated fields, and prefers the unit that an entry is about", async () => {
  await inFolder(async (file) => {
    await Deno.writeTextFile(file, entry([27, 104, 105]) + entry(["a", "b"]) + entry("x", { UNIT: "other.service" }));
    const entries = await new Journal(file).entries();
    assert.deepEqual(entries.map((seen) => seen.message), ["\u001bhi", "a b", "x"]);
    assert.equal(entries[2]?.unit, "other.service");
  });
});

Deno.test("Journal.waitFor() finds entries from before and after the call, but none before `since`", async () => {
  await inFolder(async (file) => {
    await Deno.writeTextFile(file, entry("one") + entry("two"));
    const journal = new Journal(file);
    const wait = (since: number, deadlineMs: number) => {
      const match = (seen: { message: string }) => seen.message === "one";
      return journal.waitFor({ what: "entry", deadlineMs, match, since });
    };
    assert.equal((await wait(0, 1_000)).message, "one");
    await assert.rejects(wait(await journal.position(), 0), /no entry after 0 s .*; seen last: bootstrapper: two$/);
    const later = wait(2, 10_000);
    await Deno.writeTextFile(file, entry("one", { _BOOT_ID: "b2" }), { append: true });
    assert.equal((await later).boot, "b2");
  });
});

async function inFolder(test: (file: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "bootstrapper-journal-" });
  try {
    await test(join(folder, "journal.jsonl"));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}
