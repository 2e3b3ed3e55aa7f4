/**
 * `bootstrapper join-service`: issues tickets to nodes whose evidence satisfies the policy.
 *
 * @module
 */
import { present } from "../../platform/present.ts";
import { join } from "node:path";
import type { CliCommand } from "../command.ts";
import { optionalText } from "../options.ts";
import type { JoinServiceOptions } from "../programs/join_service.ts";

const SERVICE_KEY_CREDENTIAL = "service.key";

/** Runs the join service until it is stopped. */
export const joinService: CliCommand<JoinServiceOptions> = {
  name: "join-service",
  group: "On a node:",
  description: "issue tickets to attested nodes (runs on control planes)",
  examples: ["bootstrapper join-service"],
  keeps: ["env", "net", "read", "write"],
  declare(command) {
    command.option("--folder <folder>", "state of the service (default: /var/lib/bootstrapper/join-service)");
  },
  read(parsed, { environment: { credentialsFolder }, paths }) {
    const keyFile = credentialsFolder === undefined ? undefined : join(credentialsFolder, SERVICE_KEY_CREDENTIAL);
    return { folder: optionalText(parsed, "folder") ?? paths.joinService, ...present("keyFile", keyFile) };
  },
  async action(options, context) {
    await (await import("../programs/join_service.ts")).joinService(options, context);
  },
};
