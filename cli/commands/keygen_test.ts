import assert from "node:assert/strict";
import { join } from "node:path";
import { hex } from "../../platform/bytes.ts";
import { readPrivateKeyPem } from "../../certificate/keys.ts";
import { readOperatorKey } from "../../certificate/operator_key.ts";
import { readRecipient } from "../../backup/recipient.ts";
import { readOperatorKeyFile, readRecipientKeyFile } from "../operator_key_file.ts";
import { TestWorld } from "../testing/command_line.ts";

Deno.test("keygen writes a private key that only its owner can read, and prints its public line", async () => {
  await using world = await TestWorld.create();
  const file = join(world.root, "operator.pem");
  assert.equal(await world.run("keygen", "--out", file, "--comment", "alice", "--no-passphrase"), 0, world.err);
  assert.match(world.out, /^ssh-ed25519 AAAA[A-Za-z0-9+/=]+ alice\n$/);
  assert.match(world.err, /unencrypted/);
  assert.equal(((await Deno.stat(file)).mode ?? 0) & 0o777, 0o600);
  const keys = await readPrivateKeyPem(await Deno.readTextFile(file), file);
  assert.equal(hex(readOperatorKey(world.out, "line")), hex(keys.spki));
  const read = await readOperatorKeyFile(file, undefined, world.context.terminal);
  assert.equal(hex(read.spki), hex(keys.spki));
  assert.deepEqual(world.revoked, ["env", "ffi", "import", "net", "run", "sys"]);
});

Deno.test("keygen never overwrites a file", async () => {
  await using world = await TestWorld.create();
  const file = await world.write("operator.pem", "precious");
  assert.equal(await world.run("keygen", "--out", file, "--output", "json"), 1);
  assert.equal(JSON.parse(world.out).error.code, "precondition/file-exists");
  assert.equal(await Deno.readTextFile(file), "precious");
});

Deno.test("keygen encrypts the key with a passphrase from the terminal or a file, and does not show it", async () => {
  await using world = await TestWorld.create({ answers: ["correct horse", "correct horse", "correct horse"] });
  const asked = join(world.root, "asked.pem");
  assert.equal(await world.run("keygen", "--out", asked), 0, world.err);
  assert.match(await Deno.readTextFile(asked), /^-----BEGIN ENCRYPTED PRIVATE KEY-----\n/);
  assert.ok(!`${world.out}${world.err}`.includes("horse"));
  await readOperatorKeyFile(asked, undefined, world.context.terminal);
  const passphraseFile = await world.write("passphrase", "battery staple\n");
  const filed = join(world.root, "filed.pem");
  assert.equal(await world.run("keygen", "--out", filed, "--passphrase-file", passphraseFile, "--output", "json"), 0);
  const { isEncrypted, operatorKey } = JSON.parse(world.out);
  assert.equal(isEncrypted, true);
  const keys = await readOperatorKeyFile(filed, passphraseFile, world.context.terminal);
  assert.equal(hex(readOperatorKey(operatorKey, "line")), hex(keys.spki));
  await assert.rejects(readOperatorKeyFile(asked, passphraseFile, world.context.terminal), {
    code: "usage/passphrase",
  });
});

Deno.test("keygen writes nothing when the passphrase is not usable", async () => {
  const cases: readonly (readonly [readonly string[], readonly string[], string])[] = [
    [[], ["a", "b"], "usage/passphrase"],
    [[], [""], "usage/passphrase"],
    [[], [], "usage/no-terminal"],
    [["--no-passphrase", "--passphrase-file", "one"], [], "usage/passphrase"],
    [["--passphrase-file", "two"], [], "usage/passphrase"],
    [["--passphrase-file", "empty"], [], "usage/passphrase"],
    [["--passphrase-file", "missing"], [], "system/file"],
    [["--no-passphrase", "--comment", "käse"], [], "usage/key-comment"],
  ];
  for (const [args, answers, code] of cases) {
    await using world = await TestWorld.create({ answers });
    await world.write("one", "a");
    await world.write("two", "a\nb\n");
    await world.write("empty", "\n");
    const file = join(world.root, "operator.pem");
    const absolute = args.map((arg) => /^[a-z]+$/.test(arg) ? join(world.root, arg) : arg);
    const exitCode = await world.run("keygen", "--out", file, ...absolute, "--output", "json");
    assert.equal(JSON.parse(world.out).error.code, code, args.join(" "));
    assert.equal(exitCode, code === "system/file" ? 1 : 2);
    await assert.rejects(Deno.stat(file), Deno.errors.NotFound);
  }
});

Deno.test("keygen gives the advice that fits the wrong use of a passphrase, and shows a comment that it refuses", async () => {
  const cases: readonly (readonly [readonly string[], readonly string[], RegExp])[] = [
    [["--no-passphrase", "--passphrase-file", "pw"], [], /Next: Leave out one of the two\./],
    [[], ["one", "two"], /Next: Run the command again, and type the same passphrase twice\./],
    [[], [""], /Next: Run the command again, and type a passphrase; or give --no-passphrase\./],
    [["--no-passphrase", "--comment", "Jörg"], [], /printable ASCII: current value is "Jörg"/],
  ];
  for (const [options, answers, expected] of cases) {
    await using world = await TestWorld.create({ answers });
    assert.equal(await world.run("keygen", "--out", join(world.root, "operator.key"), ...options), 2);
    assert.match(world.err, expected);
  }
});

Deno.test("keygen names the folder that does not exist", async () => {
  await using world = await TestWorld.create();
  const file = join(world.root, "nope/operator.key");
  assert.equal(await world.run("keygen", "--out", file, "--no-passphrase"), 1);
  assert.match(world.err, new RegExp(`Cannot create ${file}: the folder ${world.root}/nope does not exist\\.`));
  assert.doesNotMatch(world.err.split("\n")[0] ?? "", /\.tmp/);
});

Deno.test("keygen --backup writes a key that opens backups, prints its recipient, and is no operator's key", async () => {
  await using world = await TestWorld.create({ answers: ["correct horse", "correct horse", "correct horse"] });
  const file = join(world.root, "backup.key");
  assert.equal(await world.run("keygen", "--backup", "--out", file), 0, world.err);
  assert.match(await Deno.readTextFile(file), /^-----BEGIN ENCRYPTED PRIVATE KEY-----\n/);
  assert.equal(((await Deno.stat(file)).mode ?? 0) & 0o777, 0o600);
  const { publicKey } = await readRecipientKeyFile(file, undefined, world.context.terminal);
  assert.deepEqual(readRecipient(world.out, "line"), publicKey);
  assert.match(world.err, /opens every backup/);
  const passphraseFile = await world.write("passphrase", "correct horse\n");
  await assert.rejects(readOperatorKeyFile(file, passphraseFile, world.context.terminal), {
    code: "usage/operator-key",
  });
});
