import assert from "node:assert/strict";
import { join } from "node:path";
import { readOrCreateNodeKeys } from "../protocol/node_keys.ts";
import { removeJoinSecrets, removeLeftovers } from "./run_folder.ts";

const LEFT = [
  ...["discovery.conf", ".discovery.conf.0123456789abcdef.tmp", "kubeadm-0123456789abcdef.yaml"],
  ...[".node.key.0123456789abcdef.tmp", ".sealing.key.0123456789abcdef.tmp"],
];

Deno.test("removeLeftovers() removes what a killed process left and keeps the keys; removeJoinSecrets() removes all", async () => {
  const folder = await Deno.makeTempDir();
  const names = () => [...Deno.readDirSync(folder)].map(({ name }) => name).sort();
  const { node } = await readOrCreateNodeKeys(folder);
  for (const name of LEFT) await Deno.writeTextFile(join(folder, name), "a key");
  await removeLeftovers(folder);
  assert.deepEqual(names(), ["node.key", "sealing.key", "serving.key"]);
  assert.deepEqual((await readOrCreateNodeKeys(folder)).node.spki, node.spki);
  for (const name of LEFT) await Deno.writeTextFile(join(folder, name), "a key");
  await removeJoinSecrets(folder);
  assert.deepEqual(names(), []);
  await Deno.remove(folder);
  for (const remove of [removeLeftovers, removeJoinSecrets]) await remove(folder);
});
