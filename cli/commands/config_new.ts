/**
 * `bootstrapper config new`: writes a configuration, or a cluster document, to begin with.
 *
 * @module
 */
import { Option } from "commander";
import { present } from "../../platform/present.ts";
import type { CliCommand } from "../command.ts";
import { optionalText, outputForm, textList } from "../options.ts";
import type { ConfigNewOptions, NewDocumentRole } from "../programs/config_new.ts";

const ROLES: readonly NewDocumentRole[] = ["control-plane", "worker", "founder", "cluster"];

/** Writes a document to begin with. */
export const configNew: CliCommand<ConfigNewOptions> = {
  name: "config new",
  group: "For operators:",
  description: "write a configuration or a cluster document, with comments",
  notes: "On a terminal it asks for what is missing. `policy make` makes policies.",
  examples: [
    "bootstrapper config new --role worker --name demo --operator-key op.pub \\\n" +
    "  --endpoint 10.77.0.11:9444 --out worker.yaml",
    "bootstrapper config new --role cluster --out cluster.yaml",
  ],
  keeps: ["env", "read", "write"],
  declare(command) {
    command.addOption(new Option("--role <role>", "what it is for").choices(ROLES))
      .option("--name <name>", "the cluster's name")
      .option("--operator-key <file...>", "operators' public keys, from `keygen`")
      .option("--endpoint <host:port...>", "join services; founders; the API server's")
      .option("--cluster-id <id>", "cluster ID, if the cluster exists")
      .option("--variant <kind...>", "kinds of evidence (default: tpm)")
      .option("--token-key <key>", "of a founding: from `token new`")
      .option("--policy <file>", "of a founding: the policy for founders")
      .option("--kubernetes-version <version>", "of the cluster (default: v1.36.3)")
      .option("--pod-subnet <network>", "of the cluster (default: 10.244.0.0/16)")
      .option("--service-subnet <network>", "of the cluster (default: 10.96.0.0/12)")
      .option("--schema <file>", "JSON Schema that editors check it with")
      .option("--out <file>", "file to write (default: standard output)");
  },
  read: (parsed) => ({
    ...present("role", ROLES.find((role) => role === optionalText(parsed, "role"))),
    ...present("clusterName", optionalText(parsed, "name")),
    operatorKeys: textList(parsed, "operatorKey"),
    endpoints: textList(parsed, "endpoint"),
    ...present("clusterId", optionalText(parsed, "clusterId")),
    variant: textList(parsed, "variant"),
    ...present("tokenKey", optionalText(parsed, "tokenKey")),
    ...present("policyFile", optionalText(parsed, "policy")),
    ...present("kubernetesVersion", optionalText(parsed, "kubernetesVersion")),
    ...present("podSubnet", optionalText(parsed, "podSubnet")),
    ...present("serviceSubnet", optionalText(parsed, "serviceSubnet")),
    ...present("schemaFile", optionalText(parsed, "schema")),
    ...present("file", optionalText(parsed, "out")),
    output: outputForm(parsed),
  }),
  async action(options, context) {
    await (await import("../programs/config_new.ts")).configNew(options, context);
  },
};
