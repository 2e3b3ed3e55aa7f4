import assert from "node:assert/strict";
import { join } from "node:path";
import { writeBackup } from "../../backup/backup_file.ts";
import { createRecipientKeys, recipientKeyPem } from "../../backup/recipient.ts";
import { copiedContents, inPieces, newBackup } from "../../backup/testing/backups.ts";
import { clusterIdText } from "../../certificate/cluster_id.ts";
import { TestWorld } from "../testing/command_line.ts";

/** A world with a backup and its key, at the time of the backup. */
async function worldWithBackup() {
  const now = new Date();
  const world = await TestWorld.create({ now });
  const keys = await createRecipientKeys();
  const made = await newBackup(2000, now);
  const file = join(world.root, "prod.backup");
  await writeBackup(file, made.subject, [keys.publicKey], copiedContents(made.contents), inPieces(made.snapshot));
  const key = await world.write("backup.key", await recipientKeyPem(keys));
  await Deno.chmod(key, 0o600);
  return { world, made, file, key };
}

Deno.test("restore --unpack writes what is in a backup, and shows none of it", async () => {
  const { world: made, made: { subject, snapshot, contents }, file, key } = await worldWithBackup();
  await using world = made;
  const folder = join(world.root, "unpacked");
  const id = clusterIdText(subject.clusterId);
  assert.equal(await world.run("restore", file, "--key", key, "--unpack", folder, "--cluster-id", id), 0, world.err);
  assert.match(world.out, /Unpacked the backup of prod of .*\nIt is whole: etcd 3\.6\.8, revision 4711/);
  assert.ok(!`${world.out}${world.err}`.includes("PRIVATE KEY"));
  assert.deepEqual(await Deno.readFile(join(folder, "snapshot.db")), snapshot);
  assert.deepEqual(await Deno.readFile(join(folder, "pki/etcd/ca.key")), contents.kit.keys.etcdCaKey);
  for (const path of ["pki/ca.key", "snapshot.db", "join-service/state.json"]) {
    assert.equal(((await Deno.stat(join(folder, path))).mode ?? 0) & 0o777, 0o600, path);
  }
  assert.equal(((await Deno.stat(folder)).mode ?? 0) & 0o777, 0o700);
});

Deno.test("restore says what it needs, and refuses a changed backup and one of another cluster", async () => {
  const { world: made, file, key } = await worldWithBackup();
  await using world = made;
  const codeOf = async (...args: readonly string[]) => {
    world.out = "";
    await world.run("restore", file, "--key", key, "--output", "json", ...args);
    return JSON.parse(world.out).error.code;
  };
  const folder = join(world.root, "unpacked");
  assert.equal(await codeOf(), "usage/restore");
  assert.equal(await codeOf("--drill", "--unpack", folder), "usage/restore");
  assert.equal(await codeOf("--unpack", folder, "--cluster-id", "prod"), "malformed/cluster-id");
  const other = `sha256:${"ab".repeat(32)}`;
  assert.equal(await codeOf("--unpack", folder, "--cluster-id", other), "refused/backup-cluster");
  const bytes = await Deno.readFile(file);
  bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ 1;
  await Deno.writeFile(file, bytes);
  assert.equal(await codeOf("--unpack", folder), "refused/backup");
});

Deno.test("backup names what is wrong with its options, before it reads anything of the cluster", async () => {
  await using world = await TestWorld.create({ isRoot: true });
  const codeOf = async (...args: readonly string[]) => {
    world.out = "";
    await world.run("backup", "--to", join(world.root, "prod.backup"), "--output", "json", ...args);
    return JSON.parse(world.out).error.code;
  };
  for (const count of ["0", "-1", "x", "100000"]) assert.equal(await codeOf("--keep", count), "usage/backup-keep");
  const recipients = await world.write("recipients", "# no one\n");
  assert.equal(await codeOf("--recipients", recipients), "usage/backup-recipient");
  assert.equal(await codeOf("--recipients", join(world.root, "missing")), "system/file");
});
