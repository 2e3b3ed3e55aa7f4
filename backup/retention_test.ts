import assert from "node:assert/strict";
import { join } from "node:path";
import { createRecipientKeys } from "./recipient.ts";
import { writeBackup } from "./backup_file.ts";
import { applyRetention, backupName } from "./retention.ts";
import { copiedContents, inPieces, newBackup } from "./testing/backups.ts";

const DAY_MS = 24 * 3_600_000;
const NOW = Date.now();

/** A folder with a backup of today and of each of the days after it, of one cluster, and with other files. */
async function withBackups(
  days: number,
  work: (
    folder: string,
    newest: Awaited<ReturnType<typeof newBackup>>["subject"],
    names: readonly string[],
  ) => Promise<void>,
): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    const { publicKey } = await createRecipientKeys();
    const made = await newBackup(100);
    const names: string[] = [];
    for (let day = days; day >= 0; day--) {
      const subject = { ...made.subject, createdAt: new Date(NOW + (days - day) * DAY_MS) };
      const path = join(folder, backupName(subject));
      await writeBackup(path, subject, [publicKey], copiedContents(made.contents), inPieces(made.snapshot));
      names.unshift(backupName(subject));
    }
    await work(folder, { ...made.subject, createdAt: new Date(NOW + days * DAY_MS) }, names);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

const namesIn = async (folder: string) =>
  new Set((await Array.fromAsync(Deno.readDir(folder))).map(({ name }) => name));

Deno.test("applyRetention() keeps the newest by count and by age, and always the newest", () =>
  withBackups(4, async (folder, newest, names) => {
    assert.deepEqual(await applyRetention(folder, newest, {}), []);
    assert.deepEqual(await applyRetention(folder, newest, { count: 4 }), [join(folder, names[4] ?? "")]);
    assert.equal((await applyRetention(folder, newest, { ageMs: 1.5 * DAY_MS })).length, 2);
    assert.equal((await applyRetention(folder, newest, { count: 1, ageMs: 1 })).length, 1);
    assert.deepEqual(await namesIn(folder), new Set(names.slice(0, 1)));
  }));

Deno.test("applyRetention() leaves other clusters' backups, unreadable ones and other files alone, and removes old parts", () =>
  withBackups(1, async (folder, newest, names) => {
    const [today = "", yesterday = ""] = names;
    const unreadable = "prod-20200101T000000Z.backup";
    const foreign = { ...(await newBackup(1)).subject, createdAt: newest.createdAt };
    for (const name of [unreadable, "notes.txt"]) await Deno.writeTextFile(join(folder, name), "x");
    const [oldPart, newPart] = ["1", "2"].map((digit) => `.${today}.${digit.repeat(16)}.tmp`);
    assert.ok(oldPart !== undefined && newPart !== undefined);
    for (const name of [oldPart, newPart]) await Deno.writeTextFile(join(folder, name), "x");
    await Deno.utime(join(folder, oldPart), new Date(NOW - 2 * DAY_MS), new Date(NOW - 2 * DAY_MS));
    assert.deepEqual(await applyRetention(folder, foreign, { count: 1, ageMs: 1 }), []);
    assert.deepEqual(await applyRetention(folder, newest, { count: 1 }), [join(folder, yesterday)]);
    assert.deepEqual(await namesIn(folder), new Set([today, unreadable, "notes.txt", newPart]));
  }));
