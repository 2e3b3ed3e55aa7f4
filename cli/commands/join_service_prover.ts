/**
 * `bootstrapper join-service prover`: the part of a join service that may open the machine's devices.
 *
 * @module
 */
import { present } from "../../platform/present.ts";
import type { CliCommand } from "../command.ts";
import { optionalText, withConfig } from "../options.ts";
import type { JoinProverOptions, ProvingMachine } from "../programs/join_service_prover.ts";

/** Runs the prover until it is stopped. */
export const joinProver: CliCommand<JoinProverOptions, ProvingMachine> = {
  name: "join-service prover",
  group: "On a node:",
  description: "make this control plane's evidence for nodes that join, for the signer",
  examples: ["bootstrapper join-service prover"],
  needsRoot: true,
  keeps: ["env", "read"],
  declare(command) {
    withConfig(command)
      .option("--socket <path>", "socket for the signer (default: /run/bootstrapper-join-prover/prover.sock)");
  },
  read: (parsed, { paths }) => ({
    ...present("config", optionalText(parsed, "config")),
    socket: optionalText(parsed, "socket") ?? paths.joinProver,
  }),
  async open({ socket }, context) {
    return {
      machine: await (await import("../machine.ts")).openMachine(context),
      listener: await (await import("../../platform/unix_socket.ts")).listenOnUnixSocket(socket),
    };
  },
  async action(options, context, opened) {
    await (await import("../programs/join_service_prover.ts")).joinProver(options, context, opened);
  },
};
