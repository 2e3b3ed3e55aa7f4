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
    await Deno.writeTextFile(path, await privateKeyPem(keys));
    return await readOperatorKeyFile(path, undefined, world.context.terminal);
  };
  assert.equal((await read("ed25519")).type, "ed25519");
  await assert.rejects(read("p-256"), { code: "usage/operator-key" });
});
