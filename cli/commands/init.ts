/**
 * `bootstrapper init`: founds a cluster on a fresh node.
 *
 * @module
 */
import type { Bytes } from "../../platform/bytes.ts";
import { fromHex } from "../../platform/bytes.ts";
import { MINUTE_MS } from "../../platform/duration.ts";
import { readEndpoint } from "../../platform/endpoint.ts";
import { BootstrapError } from "../../platform/errors.ts";
import { shown } from "../../platform/label.ts";
import { present } from "../../platform/present.ts";
import { clusterNameArgument } from "../cluster_name.ts";
import type { CliCommand, ParsedCommand } from "../command.ts";
import type { CliContext } from "../context.ts";
import { readDuration } from "../duration.ts";
import { DEFAULT_INIT_PORT } from "../fresh_node_options.ts";
import {
  firstArgument,
  isSet,
  optionalText,
  outputForm,
  recordsFolder,
  requiredText,
  textList,
  withRecords,
} from "../options.ts";
import type { InitOptions } from "../programs/init.ts";

/** How long a started operation may go without progress if `--wait` is not given. */
const DEFAULT_PATIENCE_MS = 10 * MINUTE_MS;
const DEFAULT_WAIT = "10m";
const IDENTITY_BYTES = 32;

/** Founds a cluster. */
export const init: CliCommand<InitOptions> = {
  name: "init",
  group: "For operators:",
  description: "found a cluster on a fresh node, and write its kubeconfig",
  notes: `It calls a lost node again, for ${DEFAULT_PATIENCE_MS / MINUTE_MS} minutes (or --wait) without progress.`,
  examples: [
    "bootstrapper init 10.0.0.11 --name demo --policy policy.yaml \\\n  --key operator.key --network kube-flannel.yml --wait",
  ],
  keeps: ["env", "net", "read", "write"],
  declare(command) {
    withRecords(
      command.argument("<node>", `the fresh node, HOST[:PORT] (default port: ${DEFAULT_INIT_PORT})`)
        .requiredOption("--name <name>", "the cluster's name in the nodes' configuration")
        .requiredOption("--policy <file>", "the policy that nodes must satisfy")
        .requiredOption("--key <file>", "the operator's private key")
        .option("--passphrase-file <file>", "passphrase of the key (default: from the terminal)")
        .option("--other-operator <file...>", "public keys of the nodes' other operators")
        .option("--cluster <file>", "the cluster's settings (default: built-in settings)")
        .option("--network <path...>", "manifests of a network plug-in to apply")
        .option("--expect-identity <hex>", "refuse a node with another identity")
        .option("--kubeconfig <file>", "kubeconfig to write (default: NAME.kubeconfig)")
        .option("--cluster-file <file>", "cluster file to write (default: NAME.cluster.yaml)")
        .option("--wait [duration]", `wait up to this long (${DEFAULT_WAIT}) for Ready`),
    );
  },
  read: initOptions,
  async open() {
    (await import("../../platform/public_cas.ts")).keepPublicCas();
  },
  async action(options, context) {
    await (await import("../programs/init.ts")).init(options, context);
  },
};

function initOptions(parsed: ParsedCommand, context: CliContext): InitOptions {
  const clusterName = clusterNameArgument(requiredText(parsed, "name"));
  const identity = optionalText(parsed, "expectIdentity");
  const wait = isSet(parsed, "wait") ? DEFAULT_WAIT : optionalText(parsed, "wait");
  const waitMs = wait === undefined ? undefined : readDuration(wait, "--wait");
  return {
    node: readEndpoint(firstArgument(parsed), "NODE", DEFAULT_INIT_PORT),
    clusterName,
    policyFile: requiredText(parsed, "policy"),
    keyFile: requiredText(parsed, "key"),
    ...present("passphraseFile", optionalText(parsed, "passphraseFile")),
    otherOperatorFiles: textList(parsed, "otherOperator"),
    ...present("settingsFile", optionalText(parsed, "cluster")),
    networkPaths: textList(parsed, "network"),
    ...present("expectIdentity", identity === undefined ? undefined : readIdentity(identity)),
    kubeconfigFile: optionalText(parsed, "kubeconfig") ?? `${clusterName}.kubeconfig`,
    clusterFile: optionalText(parsed, "clusterFile") ?? `${clusterName}.cluster.yaml`,
    patienceMs: waitMs ?? DEFAULT_PATIENCE_MS,
    ...present("waitMs", waitMs),
    recordsFolder: recordsFolder(parsed, context),
    output: outputForm(parsed),
  };
}

function readIdentity(text: string): Bytes {
  if (/^[0-9a-fA-F]{64}$/.test(text)) return fromHex(text, "--expect-identity");
  throw new BootstrapError(
    "usage/identity",
    `Cannot use --expect-identity ${
      shown(text)
    } as it must be ${IDENTITY_BYTES} bytes in hexadecimal, as \`bootstrapper evidence\` prints it`,
  );
}
