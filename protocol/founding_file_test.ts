import assert from "node:assert/strict";
import fc from "fast-check";
import { generateKeyPair } from "../certificate/keys.ts";
import { utf8 } from "../platform/bytes.ts";
import { BootstrapError } from "../platform/errors.ts";
import { checkFounding, createFounding } from "./founding.ts";
import { foundingFileText, readFoundingFile } from "./founding_file.ts";

const operator = await generateKeyPair("ed25519");
const clusterId = new Uint8Array(32).fill(7);
const founding = await createFounding(operator, clusterId, "demo");
const text = foundingFileText(founding);

Deno.test("readFoundingFile() reads what foundingFileText() wrote", async () => {
  const read = readFoundingFile(utf8(text), "it");
  await checkFounding(read, { clusterName: "demo", clusterId, operatorKeys: [operator.spki] }, clusterId);
  assert.equal(foundingFileText(read), text);
});

Deno.test("readFoundingFile() refuses what is no founding file, and never crashes", () => {
  const file = JSON.parse(text);
  for (
    const changes of [{ kind: "bootstrapper evidence" }, { more: 1 }, { signature: undefined }, { clusterName: 1 }]
  ) {
    const changed = utf8(JSON.stringify({ ...file, ...changes }));
    assert.throws(() => readFoundingFile(changed, "it"), { code: "malformed/founding-file" }, JSON.stringify(changes));
  }
  const alter = fc.tuple(fc.nat({ max: text.length - 1 }), fc.nat({ max: 255 }));
  fc.assert(fc.property(alter, ([index, octet]) => {
    const bytes = utf8(text);
    bytes[index] = octet;
    try {
      readFoundingFile(bytes, "it");
    } catch (error) {
      assert.ok(error instanceof BootstrapError, String(error));
    }
  }));
});
