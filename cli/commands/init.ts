/**
 * `bootstrapper init`: an operator founds a cluster on a fresh node.
 *
 * @module
 */
import type { Bytes } from "../../platform/bytes.ts";
import { fromHex } from "../../platform/bytes.ts";
import { MINUTE_MS } from "../../platform/duration.ts";
import { readEndpoint } from "../../platform/endpoint.ts";
import { BootstrapError } from "../../platform/errors.ts";
import { LONGEST_SILENCE_MS } from "../../protocol/init_steps.ts";
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
  present,
  recordsFolder,
  requiredText,
  textList,
  withRecords,
} from "../options.ts";
import type { InitOptions } from "../programs/init.ts";

/** How long nothing may come of an operation that has begun, where there is no `--wait`. */
const DEFAULT_PATIENCE_MS = 10 * MINUTE_MS;
const DEFAULT_WAIT = "10m";
const IDENTITY_BYTES = 32;

/** Founds a cluster. */
export const init: CliCommand<InitOptions> = {
  name: "init",
  group: "For operators:",
  description: "found a cluster on a fresh node, and write a kubeconfig for it",
  notes: `Once the node is locked, init connects again when it loses it. It gives up after
${DEFAULT_PATIENCE_MS / MINUTE_MS} minutes (or --wait) without progress. A node at work may be silent for ${
    LONGEST_SILENCE_MS / MINUTE_MS
  }.`,
  examples: ["bootstrapper init 10.0.0.11 --name demo --policy policy.yaml \\\n  --key operator.key --wait"],
  keeps: ["env", "net", "read", "write"],
  declare(command) {
    withRecords(
      command.argument("<node>", `the fresh node, HOST[:PORT] (default: ${DEFAULT_INIT_PORT})`)
        .requiredOption("--name <name>", "the cluster's name, as the nodes are configured")
        .requiredOption("--policy <file>", "what the evidence of nodes must show")
        .requiredOption("--key <file>", "the operator's private key")
        .option("--passphrase-file <file>", "the key's passphrase (default: asked for)")
        .option("--other-operator <file...>", "public keys of the nodes' other operators")
        .option("--cluster <file>", "the cluster's settings (default: built in)")
        .option("--expect-identity <hex>", "the only identity that the node may have")
        .option("--kubeconfig <file>", "to be written (default: NAME.kubeconfig)")
        .option("--cluster-file <file>", "to be written (default: NAME.cluster.yaml)")
        .option("--wait [duration]", `wait until the node is Ready, ${DEFAULT_WAIT} or this long`),
    );
  },
  read: initOptions,
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
    `Cannot use --expect-identity as it must be ${IDENTITY_BYTES} bytes in hexadecimal, as \`bootstrapper evidence\` prints it`,
  );
}
