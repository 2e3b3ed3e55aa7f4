/**
 * `bootstrapper join-service signer`: the part of a join service that holds keys. It issues tickets to nodes whose evidence
 * satisfies the policy.
 *
 * @module
 */
import type { CliCommand } from "../command.ts";
import { optionalText } from "../options.ts";
import type { JoinSignerOptions } from "../programs/join_service_signer.ts";

/** Runs the signer until it is stopped. */
export const joinSigner: CliCommand<JoinSignerOptions, Deno.Listener> = {
  name: "join-service signer",
  group: "On a node:",
  description: "issue tickets to attested nodes, which the front passes on",
  examples: ["bootstrapper join-service signer"],
  keeps: ["env", "net", "read", "write"],
  declare(command) {
    command.option("--folder <folder>", "state of the service (default: /var/lib/bootstrapper/join-service)")
      .option("--socket <path>", "socket for the front (default: /run/bootstrapper-join/signer.sock)")
      .option(
        "--dialer <path>",
        "socket for calls of other etcd members (default: /run/bootstrapper-join-front/etcd.sock)",
      )
      .option(
        "--prover <path>",
        "socket of what makes evidence (default: /run/bootstrapper-join-prover/prover.sock)",
      );
  },
  read(parsed, { paths }) {
    return {
      folder: optionalText(parsed, "folder") ?? paths.joinService,
      socket: optionalText(parsed, "socket") ?? paths.joinSocket,
      dialer: optionalText(parsed, "dialer") ?? paths.joinDialer,
      prover: optionalText(parsed, "prover") ?? paths.joinProver,
    };
  },
  async open({ socket }) {
    (await import("../../platform/dumpable.ts")).forbidDumps();
    return await (await import("../../channel/relay_server.ts")).openRelaySocket(socket);
  },
  async action(options, context, listener) {
    await (await import("../programs/join_service_signer.ts")).joinSigner(options, context, listener);
  },
};
