/**
 * Writes `corpus/` again: one or a few small inputs for each target, and the certificates that verify them.
 *
 *     deno run --allow-all tests/fuzz/make_corpus.ts
 *
 * Signatures are made with keys that are thrown away, so every run writes different bytes. Inputs in `crashers/` that
 * depend on the old ones must then be checked again.
 *
 * @module
 */
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { foundingFiles } from "./_corpus_founding.ts";
import { messageFiles } from "./_corpus_messages.ts";
import { signedFiles } from "./_corpus_signed.ts";
import { structureFiles } from "./_corpus_structures.ts";
import { textFiles } from "./_corpus_texts.ts";

const folder = fileURLToPath(new URL("corpus", import.meta.url));
await Deno.remove(folder, { recursive: true }).catch((error) => {
  if (!(error instanceof Deno.errors.NotFound)) throw error;
});
const signed = await signedFiles();
const files = {
  ...signed,
  ...await foundingFiles(),
  ...await structureFiles(signed),
  ...await messageFiles(signed),
  ...await textFiles(signed),
};
for (const [name, bytes] of Object.entries(files)) {
  await Deno.mkdir(dirname(join(folder, name)), { recursive: true });
  await Deno.writeFile(join(folder, name), bytes);
}
