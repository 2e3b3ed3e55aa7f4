import assert from "node:assert/strict";
import { join } from "node:path";
import * as fc from "fast-check";
import type { Bytes } from "../platform/bytes.ts";
import { concat, fromUtf8, u32be, utf8 } from "../platform/bytes.ts";
import { asBootstrapError, hasCode } from "../platform/errors.ts";
import { newKit } from "../protocol/testing/kit.ts";
import { readBackup, readHeadOf, writeBackup } from "./backup_file.ts";
import { createHead, openFileKey, readHead } from "./backup_head.ts";
import { checkContents, decodeContents, encodeContents } from "./contents.ts";
import { createRecipientKeys } from "./recipient.ts";
import { sealChunks } from "./sealed_chunks.ts";
import { type BackupIngredients, copiedContents, inPieces, newBackup } from "./testing/backups.ts";
import { unpackBackup } from "./unpack.ts";

const alice = await createRecipientKeys();
const bob = await createRecipientKeys();

async function write(path: string, { subject, contents, snapshot }: BackupIngredients): Promise<void> {
  const recipients = [alice.publicKey, bob.publicKey];
  await writeBackup(path, subject, recipients, copiedContents(contents), inPieces(snapshot));
}

async function inFolder(work: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await work(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

const namesIn = async (folder: string) =>
  (await Array.fromAsync(Deno.readDir(folder))).map(({ name }) => name).toSorted();

Deno.test("each recipient opens a backup, and gets all that went in", () =>
  inFolder(async (folder) => {
    const path = join(folder, "prod.backup");
    const made = await newBackup();
    await write(path, made);
    assert.equal(((await Deno.stat(path)).mode ?? 0) & 0o777, 0o600);
    for (const keys of [alice, bob]) {
      const parts: Bytes[] = [];
      const { head, contents } = await readBackup(path, (read) => openFileKey(read, keys), new Date(), {
        snapshot: (bytes) => Promise.resolve(void parts.push(bytes)),
      });
      assert.deepEqual(concat(...parts), made.snapshot);
      assert.deepEqual(contents, made.contents);
      assert.deepEqual(head.clusterId, made.subject.clusterId);
    }
    const carol = await createRecipientKeys();
    await assert.rejects(readBackup(path, (read) => openFileKey(read, carol), new Date()), {
      code: "refused/backup-key",
    });
  }));

Deno.test("a backup with a changed byte anywhere is refused, and nothing is unpacked", () =>
  inFolder(async (folder) => {
    const path = join(folder, "prod.backup");
    await write(path, await newBackup(50_000));
    const whole = await Deno.readFile(path);
    const changedPath = join(folder, "changed.backup");
    const { bytes } = await readHeadOf(path);
    // All of the head, and samples of what follows: each chunk has one tag for all of its bytes.
    const places = [...Array(bytes).keys(), bytes + 1, bytes + 5_000, whole.length - 1];
    for (const place of places) {
      const changed = whole.slice();
      changed[place] = (changed[place] ?? 0) ^ 1;
      await Deno.writeFile(changedPath, changed);
      const error = await unpackBackup({ file: changedPath, keys: alice, now: new Date() }, join(folder, "out"))
        .then(() => undefined, asBootstrapError);
      assert.ok(error !== undefined && !error.code.startsWith("internal/"), `byte ${place}: ${error?.code}`);
    }
    assert.deepEqual(await namesIn(folder), ["changed.backup", "prod.backup"]);
  }));

Deno.test("a backup that was cut is refused at every kind of place", () =>
  inFolder(async (folder) => {
    const path = join(folder, "prod.backup");
    await write(path, await newBackup());
    const whole = await Deno.readFile(path);
    const { bytes } = await readHeadOf(path);
    for (const length of [0, 10, 22, 26, bytes - 1, bytes, bytes + 20, bytes + (1 << 20) + 16, whole.length - 1]) {
      await Deno.writeFile(join(folder, "cut.backup"), whole.slice(0, length));
      await assert.rejects(
        readBackup(join(folder, "cut.backup"), (read) => openFileKey(read, alice), new Date()),
        (error) => hasCode(error, "malformed/backup", "refused/backup"),
        `${length}`,
      );
    }
  }));

Deno.test("unpackBackup() refuses a backup of another cluster by both IDs, and an existing folder", () =>
  inFolder(async (folder) => {
    const [path, out] = [join(folder, "prod.backup"), join(folder, "out")];
    const made = await newBackup(1000);
    await write(path, made);
    const { subject: { clusterId } } = await newBackup(1);
    const parts = { file: path, keys: alice, now: new Date() };
    await assert.rejects(unpackBackup({ ...parts, clusterId }, out), { code: "refused/backup-cluster" });
    await Deno.mkdir(`${out}.partial`);
    await Deno.writeTextFile(join(`${out}.partial`, "of-a-killed-call"), "");
    await unpackBackup({ ...parts, clusterId: made.subject.clusterId }, out);
    assert.deepEqual(await namesIn(out), ["join-service", "join-signer", "pki", "snapshot.db"]);
    assert.deepEqual(await Deno.readFile(join(out, "snapshot.db")), made.snapshot);
    assert.deepEqual(await Deno.readFile(join(out, "pki/ca.key")), made.contents.kit.keys.caKey);
    await assert.rejects(unpackBackup(parts, out), { code: "precondition/file-exists" });
  }));

Deno.test("writeBackup() leaves an earlier file whole when the snapshot ends early, is longer, or has another hash", () =>
  inFolder(async (folder) => {
    const path = join(folder, "prod.backup");
    await Deno.writeTextFile(path, "earlier");
    const made = await newBackup(5000);
    const changed = made.snapshot.slice();
    changed[17] = 0xff;
    for (const snapshot of [made.snapshot.slice(0, -1), concat(made.snapshot, Uint8Array.of(0)), changed]) {
      await assert.rejects(write(path, { ...made, snapshot }), { code: "refused/backup" });
    }
    assert.equal(await Deno.readTextFile(path), "earlier");
    assert.deepEqual(await namesIn(folder), ["prod.backup"]);
  }));

Deno.test("checkContents() refuses the keys of another cluster", async () => {
  const { contents, subject } = await newBackup(1);
  const { kit } = await newKit();
  await checkContents(contents, subject.clusterId, new Date());
  await assert.rejects(checkContents({ ...contents, kit }, subject.clusterId, new Date()), {
    code: "refused/sealed-kit",
  });
  const other = await newBackup(1);
  await assert.rejects(checkContents(contents, other.subject.clusterId, new Date()), /cluster/);
});

Deno.test("decodeContents() reads or refuses contents with any changed byte, and names no file outside a folder", async () => {
  const { contents } = await newBackup(1);
  const diskSecret = new Uint8Array(32).fill(5);
  const bytes = encodeContents({ ...contents, diskSecret });
  assert.deepEqual(decodeContents(bytes), { ...contents, diskSecret });
  for (let index = 0; index < bytes.length; index++) {
    const changed = bytes.slice();
    changed[index] = (changed[index] ?? 0) ^ 0x55;
    refusedOr(() => {
      for (const name of decodeContents(changed).files.keys()) assert.match(name, /^[a-z][a-z-]*\/[a-z][a-z.-]*$/);
    });
  }
  for (const name of ["../etc/passwd", "/etc/passwd", "a/../b", "a", "a/b/c"]) {
    const files = new Map([[name, utf8("x")]]);
    assert.throws(() => decodeContents(encodeContents({ ...contents, files })), { code: "malformed/backup" });
  }
});

Deno.test("readHead() refuses any bytes but a head, and a later version as such", async () => {
  await fc.assert(fc.asyncProperty(fc.uint8Array({ maxLength: 500 }), async (bytes) => {
    await assert.rejects(readHead(bytes, "file"), { code: "malformed/backup" });
    const prefix = utf8("bootstrapper-backup 1\n");
    await assert.rejects(readHead(concat(prefix, u32be(bytes.length), bytes), "file"), { code: "malformed/backup" });
  }));
  const error = await readHead(utf8("bootstrapper-backup 2\n"), "file").then(() => undefined, asBootstrapError);
  assert.match(error?.next ?? "", /newer program/);
});

Deno.test("createHead() refuses a recipient of small order, and seals to no one else", async () => {
  const { subject } = await newBackup(1);
  await assert.rejects(createHead(subject, [new Uint8Array(32)]), { code: "usage/backup-recipient" });
  const { bytes } = await createHead(subject, [alice.publicKey]);
  assert.ok(fromUtf8(bytes, "head").includes('"clusterName":"prod"'));
  const head = await readHead(bytes, "file");
  await openFileKey(head, alice);
  await assert.rejects(openFileKey(head, bob), { code: "refused/backup-key" });
});

Deno.test("readBackup() refuses contents that end early, or that are larger than allowed", () =>
  inFolder(async (folder) => {
    const { subject } = await newBackup(1);
    for (const plain of [new Uint8Array(), u32be(100), concat(u32be(0xffffffff), new Uint8Array(50))]) {
      const { bytes, digest, key } = await createHead(subject, [alice.publicKey]);
      const path = join(folder, "odd.backup");
      const chunks = await Array.fromAsync(sealChunks(key, digest, inPieces(plain)));
      await Deno.writeFile(path, concat(bytes, ...chunks));
      await assert.rejects(readBackup(path, (head) => openFileKey(head, alice), new Date()), {
        code: "malformed/backup",
      });
    }
    await assert.rejects(readHeadOf(join(folder, "missing")), { code: "system/file" });
  }));

function refusedOr(work: () => void): void {
  try {
    work();
  } catch (error) {
    if (hasCode(error, "malformed/backup", "malformed/sealed-kit", "malformed/utf8")) return;
    throw error;
  }
}

Deno.test("decodeContents() takes no file that leads out of a folder, or to the keys", async () => {
  const { contents } = await newBackup(1);
  for (
    const name of ["pki/ca.key", "../etc/shadow", "/etc/shadow", "join-service/../pki", "kubernetes/a/b", "snapshot.db"]
  ) {
    const encoded = encodeContents({ ...copiedContents(contents), files: new Map([[name, utf8("x")]]) });
    assert.throws(() => decodeContents(encoded), /is none that a backup has/, name);
  }
});
