/**
 * The command line of `bootstrapper`: builds the real dependencies and starts the subcommand.
 *
 * What a subcommand needs beyond the command line itself is loaded when it is called.
 *
 * @module
 */
import type { CliHandlers } from "./cli/program.ts";
import { runProgram } from "./cli/program.ts";
import { createSystemContext } from "./cli/system_context.ts";

const handlers: CliHandlers = {
  run: async (request, context) => (await import("./cli/programs/run.ts")).run(request, context),
  init: async (options, context) => (await import("./cli/programs/init.ts")).init(options, context),
  abandon: async (options, context) => (await import("./cli/programs/abandon.ts")).abandon(options, context),
  joinService: async (options, context) =>
    (await import("./cli/programs/join_service.ts")).joinService(options, context),
  reset: async (options, context) => (await import("./cli/programs/reset.ts")).reset(options, context),
  policyExplain: async (options, context) => (await import("./cli/programs/policy.ts")).policyExplain(options, context),
  policyMake: async (options, context) => (await import("./cli/programs/policy.ts")).policyMake(options, context),
  policyRegisters: async (options, context) =>
    (await import("./cli/programs/policy_registers.ts")).policyRegisters(options, context),
  verify: async (options, context) => (await import("./cli/programs/policy.ts")).verify(options, context),
  nodeRemove: async (options, context) => (await import("./cli/programs/node_remove.ts")).nodeRemove(options, context),
};

if (import.meta.main) Deno.exit(await runProgram(Deno.args, createSystemContext(), handlers));
