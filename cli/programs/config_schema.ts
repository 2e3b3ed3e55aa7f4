/**
 * `bootstrapper config schema`: prints a JSON Schema.
 *
 * @module
 */
import type { DocumentKind } from "../../platform/document_kinds.ts";
import type { CliContext, OutputForm } from "../context.ts";
import { jsonSchemaOf, jsonSchemaText } from "../json_schema.ts";
import { kindsOf } from "../kinds.ts";
import { printResult } from "../output.ts";

/** The options of `config schema`. */
export interface ConfigSchemaOptions {
  readonly kind: DocumentKind;
  readonly output: OutputForm;
}

/** Prints the JSON Schema of a kind of document: on several lines, or as one line of JSON. */
export async function configSchema({ kind, output }: ConfigSchemaOptions, context: CliContext): Promise<void> {
  const kinds = kindsOf(context);
  printResult(context, output, await jsonSchemaOf(kind, kinds), await jsonSchemaText(kind, kinds));
}
