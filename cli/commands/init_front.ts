/**
 * `bootstrapper init-front`: the process that listens for operators before the InitServer. Only the program itself
 * calls it, without any right.
 *
 * @module
 */
import { INIT_FRONT_COMMAND } from "../../node/init_front_command.ts";
import type { CliCommand } from "../command.ts";
import { requiredText } from "../options.ts";
import type { InitFrontProgramOptions } from "../programs/init_front.ts";

/** Listens until its input ends. The help does not list it. */
export const initFront: CliCommand<InitFrontProgramOptions> = {
  name: INIT_FRONT_COMMAND,
  group: "On a node:",
  description: "listen for operators, and pass them on to the process that started this one",
  examples: ["bootstrapper init-front --listen 0.0.0.0:9443 --socket /run/bootstrapper-init/init.sock"],
  keeps: ["env", "net", "read", "write"],
  isHidden: true,
  declare(command) {
    command.requiredOption("--listen <address>", "where to listen").requiredOption(
      "--socket <path>",
      "where to pass on",
    );
  },
  read: (parsed) => ({ listen: requiredText(parsed, "listen"), socket: requiredText(parsed, "socket") }),
  async action(options, context) {
    await (await import("../programs/init_front.ts")).initFront(options, context);
  },
};
