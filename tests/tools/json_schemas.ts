/**
 * Writes the JSON Schemas for editors, `deploy/schemas/KIND.json`. With `--check` it only says whether they are as they
 * would be written.
 *
 * @module
 */
import { KINDS } from "../../attestation/kinds.ts";
import { jsonSchemaText } from "../../cli/json_schema.ts";
import { DOCUMENT_KINDS } from "../../platform/document_kinds.ts";

/** The files, by their names in the repository. */
export async function schemaFiles(): Promise<ReadonlyMap<string, string>> {
  return new Map(
    await Promise.all(
      DOCUMENT_KINDS.map(async (kind) => [`deploy/schemas/${kind}.json`, await jsonSchemaText(kind, KINDS)] as const),
    ),
  );
}

if (import.meta.main) {
  for (const [path, text] of await schemaFiles()) {
    const file = new URL(`../../${path}`, import.meta.url);
    if (!Deno.args.includes("--check")) await Deno.writeTextFile(file, text);
    else if (await Deno.readTextFile(file).catch(() => "") !== text) {
      await Deno.stderr.write(new TextEncoder().encode(`${path} is stale: run \`deno task schemas\`\n`));
      Deno.exit(1);
    }
  }
}
