/**
 * The entry point of `bootstrapper`: runs the command that the arguments name.
 *
 * It awaits nothing: the compiled binary holds it as a script (see `binary.ts`), and a script cannot.
 *
 * @module
 */
import { runProgram } from "./cli/program.ts";
import { createSystemContext } from "./cli/system_context.ts";
import { closeProcessNetwork } from "./platform/process_network.ts";

closeProcessNetwork(Deno.env);
/** What remains if nothing is left to wait for before the command has ended. */
Deno.exitCode = 70;
void runProgram(Deno.args, createSystemContext()).then((exitCode) => Deno.exit(exitCode));
