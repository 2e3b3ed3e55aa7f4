import assert from "node:assert/strict";
import { join } from "node:path";
import { generateKeyPair, privateKeyPem } from "../certificate/keys.ts";
import { readOperatorKeyFile } from "./operator_key_file.ts";
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
