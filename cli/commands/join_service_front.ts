/**
 * `bootstrapper join-service front`: the part of a join service that listens. It holds nothing, and passes everything on to
 * the signer.
 *
 * @module
 */
import type { CliCommand } from "../command.ts";
import { optionalText } from "../options.ts";
import type { JoinFrontOptions } from "../programs/join_service_front.ts";

/** Runs the front until it is stopped. */
export const joinFront: CliCommand<JoinFrontOptions> = {
  name: "join-service front",
  group: "On a node:",
  description: "listen for nodes that join, and pass them on to the signer",
  examples: ["bootstrapper join-service front"],
  // Deno counts a connection to a Unix socket as reading and writing its file. The unit lets it write nothing else.
  keeps: ["env", "net", "read", "write"],
  declare(command) {
    command.option("--folder <folder>", "state of the service (default: /var/lib/bootstrapper/join-service)")
      .option("--socket <path>", "socket of the signer (default: /run/bootstrapper-join/signer.sock)")
      .option(
        "--dialer <path>",
        "socket for calls of other etcd members (default: /run/bootstrapper-join-front/etcd.sock)",
      );
  },
  read: (parsed, { paths }) => ({
    folder: optionalText(parsed, "folder") ?? paths.joinService,
    socket: optionalText(parsed, "socket") ?? paths.joinSocket,
    dialer: optionalText(parsed, "dialer") ?? paths.joinDialer,
  }),
  async open() {
    (await import("../../platform/public_cas.ts")).keepPublicCas();
  },
  async action(options, context) {
    await (await import("../programs/join_service_front.ts")).joinFront(options, context);
  },
};
