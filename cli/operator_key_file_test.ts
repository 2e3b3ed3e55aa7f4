import assert from "node:assert/strict";
import { join } from "node:path";
import { generateKeyPair, privateKeyPem } from "../certificate/keys.ts";
import { readOperatorKeyFile, trustedOperators } from "./operator_key_file.ts";
import { TestWorld } from "./testing/command_line.ts";

Deno.test("readOperatorKeyFile() reads an Ed25519 key, and refuses any other", async () => {
  await using world = await TestWorld.create();
  const read = async (type: "ed25519" | "p-256") => {
    const keys = await generateKeyPair(type);
    await Deno.mkdir(world.context.environment.configFolder, { recursive: true });
    const path = join(world.context.environment.configFolder, `${type}.pem`);
    await Deno.writeTextFile(path, await privateKeyPem(keys), { mode: 0o600 });
    return await readOperatorKeyFile(path, undefined, world.context.terminal);
  };
  assert.equal((await read("ed25519")).type, "ed25519");
  await assert.rejects(read("p-256"), { code: "usage/operator-key" });
});

Deno.test("readOperatorKeyFile() refuses a key that others may access, and says how to mend that", async () => {
  await using world = await TestWorld.create();
  const path = await world.write("operator's.pem", await privateKeyPem(await generateKeyPair("ed25519"), "secret"));
  const passphraseFile = await world.write("passphrase", "secret");
  const read = () => readOperatorKeyFile(path, passphraseFile, world.context.terminal);
  await read();
  for (const mode of [0o640, 0o604, 0o620, 0o601]) {
    await Deno.chmod(path, mode);
    await assert.rejects(read(), {
      code: "usage/key-file-mode",
      next: `Run: chmod 600 '${world.root}/operator'\\''s.pem'`,
    });
  }
  await Deno.chmod(path, 0o400);
  await read();
});

Deno.test("readOperatorKeyFile() says of a file that is no private key what it is, whoever may read it", async () => {
  await using world = await TestWorld.create();
  const cases: readonly (readonly [string, RegExp])[] = [
    ["version: 1\nvariant: tpm\n", /as it is no private key$/],
    ["ssh-ed25519 AAAA operator\n", /as it is a public key$/],
    ["", /as it is no private key$/],
  ];
  for (const [text, message] of cases) {
    const path = await world.write("file", text);
    await Deno.chmod(path, 0o644);
    await assert.rejects(readOperatorKeyFile(path, undefined, world.context.terminal), {
      code: "usage/operator-key",
      message,
      next: "Give the file that `bootstrapper keygen --out` wrote",
    });
  }
});

Deno.test("trustedOperators() refuses a private key with the advice to give the public one", async () => {
  await using world = await TestWorld.create();
  const keys = await generateKeyPair("ed25519");
  const path = await world.write("other.key", await privateKeyPem(keys));
  await assert.rejects(trustedOperators(keys, [path]), {
    code: "usage/operator-key",
    message: /it is a private key$/,
    next: /^Give the operator's public key/,
  });
});
