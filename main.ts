/**
 * The entry point of `bootstrapper`: runs the command that the arguments name.
 *
 * @module
 */
import { runProgram } from "./cli/program.ts";
import { createSystemContext } from "./cli/system_context.ts";

if (import.meta.main) Deno.exit(await runProgram(Deno.args, createSystemContext()));
