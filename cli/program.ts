/**
 * The command line: all subcommands, and what becomes of errors.
 *
 * @module
 */
import { Command, CommanderError, Option } from "commander";
import { asBootstrapError, BootstrapError, exitCodeOf } from "../platform/errors.ts";
import type { AbandonHandler } from "./commands/abandon.ts";
import { declareAbandon } from "./commands/abandon.ts";
import type { CliContext } from "./context.ts";
import { declareDevice } from "./commands/device.ts";
import { declareEvidence } from "./programs/evidence.ts";
import type { InitHandler } from "./commands/init.ts";
import { declareInit } from "./commands/init.ts";
import type { JoinServiceHandler } from "./commands/join_service.ts";
import { declareJoinService } from "./commands/join_service.ts";
import { declareKeygen } from "./programs/keygen.ts";
import { declareMeasure } from "./programs/measure.ts";
import type { NodeRemoveHandler } from "./commands/node_remove.ts";
import { declareNodeRemove } from "./commands/node_remove.ts";
import { outputFormOfArguments } from "./options.ts";
import { printError } from "./output.ts";
import type { PolicyHandlers } from "./commands/policy_make.ts";
import { declarePolicy } from "./commands/policy_make.ts";
import type { ResetHandler } from "./commands/reset.ts";
import { declareReset } from "./commands/reset.ts";
import type { RunHandler } from "./commands/run.ts";
import { declareRun } from "./commands/run.ts";
import { declareStatus } from "./programs/status.ts";
import type { VerifyHandler } from "./commands/verify.ts";
import { declareVerify } from "./commands/verify.ts";
import { declareVersion } from "./commands/version.ts";

/** The subcommands whose work is done elsewhere; `main.ts` loads them when they are called. */
export interface CliHandlers extends PolicyHandlers {
  /** Of `run`. */
  readonly run: RunHandler;
  /** Of `init`. */
  readonly init: InitHandler;
  /** Of `abandon`. */
  readonly abandon: AbandonHandler;
  /** Of `join-service`. */
  readonly joinService: JoinServiceHandler;
  /** Of `reset`. */
  readonly reset: ResetHandler;
  /** Of `node remove`. */
  readonly nodeRemove: NodeRemoveHandler;
  /** Of `verify`. */
  readonly verify: VerifyHandler;
}

const HELP_WIDTH = 100;
const EXIT_CODES = `
\`bootstrapper SUBCOMMAND --help\` tells more.
Exit codes: 0 done, 1 failed, 2 usage, 3 refused by policy, 4 try again later.`;

/**
 * Runs the subcommand that the arguments name.
 *
 * @returns The exit code. Errors are printed, not thrown.
 */
export async function runProgram(
  args: readonly string[],
  context: CliContext,
  handlers: CliHandlers,
): Promise<number> {
  try {
    await createProgram(context, handlers).parseAsync(args, { from: "user" });
    return 0;
  } catch (error) {
    if (error instanceof CommanderError && error.exitCode === 0) return 0;
    const failure = error instanceof CommanderError ? usageError(error) : asBootstrapError(error);
    printError(context, outputFormOfArguments(args), failure);
    return exitCodeOf(failure);
  }
}

function createProgram(context: CliContext, handlers: CliHandlers): Command {
  const program = new Command("bootstrapper")
    .description("Makes fresh VMs a Kubernetes cluster, and proves that each is what it claims.")
    .addOption(new Option("--built-from <commit>", "compiled in").hideHelp())
    .addHelpOption(new Option("-h, --help", "display help for command").hideHelp())
    .exitOverride()
    .configureOutput({
      writeOut: context.print,
      writeErr: () => {},
      getOutHelpWidth: () => Math.min(HELP_WIDTH, context.terminal.columns),
      getOutHasColors: () => false,
    })
    .configureHelp({
      optionDescription: ({ description }) => description,
      subcommandTerm: (command) =>
        [command.name(), ...command.registeredArguments.map((argument) => `<${argument.name()}>`)].join(" "),
    })
    .usage("<subcommand> [options]")
    .addHelpText("after", EXIT_CODES)
    .helpCommand(false);
  program.commandsGroup("On a node:");
  declareRun(program, context, handlers.run);
  declareMeasure(program, context);
  declareJoinService(program, context, handlers.joinService);
  declareStatus(program, context);
  declareEvidence(program, context);
  declareDevice(program);
  declareReset(program, context, handlers.reset);
  program.commandsGroup("For operators:");
  declareInit(program, context, handlers.init);
  declareAbandon(program, context, handlers.abandon);
  declareNodeRemove(program, context, handlers.nodeRemove);
  declarePolicy(program, context, handlers);
  declareVerify(program, context, handlers.verify);
  declareKeygen(program, context);
  declareVersion(program, context);
  return program;
}

function usageError(error: CommanderError): BootstrapError {
  if (error.code === "commander.help") {
    return new BootstrapError("usage/no-subcommand", "No subcommand was given", {
      next: "Run `bootstrapper --help`",
    });
  }
  const kind = error.code.replace("commander.", "").replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
  const message = error.message.replace(/^error: /, "").replaceAll(/\s*\n\s*/g, " ").replace(/\.$/, "");
  return new BootstrapError(`usage/${kind}`, `Cannot read the command line: ${message}`, {
    next: "Run the subcommand with --help",
  });
}
