/**
 * The entry point of `bootstrapper`: runs the command that the arguments name.
 *
 * @module
 */
import { runProgram } from "./cli/program.ts";
import { createSystemContext } from "./cli/system_context.ts";
import { closeProcessNetwork } from "./platform/process_network.ts";

if (import.meta.main) {
  closeProcessNetwork(Deno.env);
  Deno.exit(await runProgram(Deno.args, createSystemContext()));
}
