/**
 * `bootstrapper config schema`: prints the JSON Schema of a document, for editors.
 *
 * @module
 */
import { Argument } from "commander";
import { DOCUMENT_KINDS } from "../../platform/document_kinds.ts";
import { BootstrapError } from "../../platform/errors.ts";
import type { CliCommand } from "../command.ts";
import { firstArgument, outputForm } from "../options.ts";
import type { ConfigSchemaOptions } from "../programs/config_schema.ts";

/** Prints a JSON Schema. */
export const configSchema: CliCommand<ConfigSchemaOptions> = {
  name: "config schema",
  group: "For operators:",
  description: "print the JSON Schema of a kind of document, for editors",
  notes: "An editor with a YAML language server checks a file that has this line:\n" +
    "  # yaml-language-server: $schema=node.schema.json",
  examples: ["bootstrapper config schema node > node.schema.json"],
  keeps: ["env", "read"],
  declare(command) {
    command.addArgument(new Argument("<kind>", "of document").choices(DOCUMENT_KINDS));
  },
  read(parsed) {
    const name = firstArgument(parsed);
    const kind = DOCUMENT_KINDS.find((one) => one === name);
    if (kind === undefined) throw new BootstrapError("internal/argument", `There is no kind ${JSON.stringify(name)}`);
    return { kind, output: outputForm(parsed) };
  },
  async action(options, context) {
    await (await import("../programs/config_schema.ts")).configSchema(options, context);
  },
};
