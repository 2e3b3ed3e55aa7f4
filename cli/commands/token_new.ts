/**
 * `bootstrapper token new`: makes a founding token.
 *
 * @module
 */
import { clusterNameArgument } from "../cluster_name.ts";
import type { CliCommand } from "../command.ts";
import { outputForm, requiredText } from "../options.ts";
import type { TokenNewOptions } from "../programs/token_new.ts";

/** Makes a founding token and its token key. */
export const tokenNew: CliCommand<TokenNewOptions> = {
  name: "token new",
  group: "For operators:",
  description: "make the token of a cluster that founds itself",
  examples: ["bootstrapper token new --founding --cluster-name demo"],
  keeps: [],
  declare(command) {
    command.requiredOption("--founding", "make a founding token, the only kind of token there is")
      .requiredOption("--cluster-name <name>", "the cluster that it is for (trust.clusterName)");
  },
  read: (parsed) => ({
    clusterName: clusterNameArgument(requiredText(parsed, "clusterName")),
    output: outputForm(parsed),
  }),
  async action(options, context) {
    await (await import("../programs/token_new.ts")).tokenNew(options, context);
  },
};
