/**
 * `bootstrapper init`: an operator founds a cluster on a fresh node.
 *
 * @module
 */
import { join } from "node:path";
import type { Command } from "commander";
import { LONGEST_SILENCE_MS } from "../../protocol/init_steps.ts";
import type { Endpoint } from "../../platform/endpoint.ts";
import { readEndpoint } from "../../platform/endpoint.ts";
import type { Bytes } from "../../platform/bytes.ts";
import { fromHex } from "../../platform/bytes.ts";
import { MINUTE_MS } from "../../platform/duration.ts";
import { BootstrapError } from "../../platform/errors.ts";
import { clusterNameArgument } from "../cluster_name.ts";
import type { CliContext, OutputForm } from "../context.ts";
import { readDuration } from "../duration.ts";
import type { ParsedOptions } from "../options.ts";
import { isSet, optionalText, outputForm, present, requiredText, textList, withOutput } from "../options.ts";
import { DEFAULT_INIT_PORT } from "../operator_options.ts";
import { dropPermissions } from "../permissions.ts";

/** The options of `init`. */
export interface InitOptions {
  /** The InitServer of the node. */
  readonly node: Endpoint;
  /** The name of the cluster, an RFC 1123 label. */
  readonly clusterName: string;
  /** The file with the policy that the node's evidence must satisfy, and that the cluster's join services go by. */
  readonly policyFile: string;
  /** The file with the operator's private key. */
  readonly keyFile: string;
  /** The file with its passphrase; an encrypted key without it asks at the terminal. */
  readonly passphraseFile?: string;
  /** Files with the public keys of the node's other operators, whose configuration is measured as a whole. */
  readonly otherOperatorFiles: readonly string[];
  /** The file with the cluster's settings. */
  readonly settingsFile?: string;
  /** The one identity that the node may have, 32 bytes. */
  readonly expectIdentity?: Bytes;
  /** Where the kubeconfig goes. */
  readonly kubeconfigFile: string;
  /** Where the public cluster file goes. */
  readonly clusterFile: string;
  /**
   * How long nothing may come of an operation that has begun, and how long to wait in the end until the node is Ready, in
   * milliseconds; without it there is no waiting in the end.
   */
  readonly waitMs?: number;
  /** The operator's records of clusters. */
  readonly recordsFolder: string;
  /** How to print. */
  readonly output: OutputForm;
}

/** Founds a cluster; ends when the kubeconfig is written and, where that is asked for, the node is Ready. */
export type InitHandler = (options: InitOptions, context: CliContext) => Promise<void>;

/** How long nothing may come of an operation that has begun, where there is no `--wait`: milliseconds. */
export const DEFAULT_PATIENCE_MS: number = 10 * MINUTE_MS;
const DEFAULT_WAIT = "10m";
const IDENTITY_BYTES = 32;
const KEEPS_ON = `
Once the node is locked, init connects again when it loses it. It gives up after
${DEFAULT_PATIENCE_MS / MINUTE_MS} minutes (or --wait) without progress. A node at work may be silent for ${
  LONGEST_SILENCE_MS / MINUTE_MS
}.`;

/**
 * Declares `init`.
 *
 * @internal
 */
export function declareInit(program: Command, context: CliContext, handler: InitHandler): void {
  withRecords(withOutput(
    program.command("init").argument("<node>", `the fresh node, HOST[:PORT] (default: ${DEFAULT_INIT_PORT})`)
      .description("found a cluster on a fresh node, and write a kubeconfig for it")
      .requiredOption("--name <name>", "the cluster's name, as the nodes are configured")
      .requiredOption("--policy <file>", "what the evidence of nodes must show")
      .requiredOption("--key <file>", "the operator's private key")
      .option("--passphrase-file <file>", "the key's passphrase (default: asked for)")
      .option("--other-operator <file...>", "public keys of the nodes' other operators")
      .option("--cluster <file>", "the cluster's settings (default: built in)")
      .option("--expect-identity <hex>", "the only identity that the node may have")
      .option("--kubeconfig <file>", "to be written (default: NAME.kubeconfig)")
      .option("--cluster-file <file>", "to be written (default: NAME.cluster.yaml)")
      .option("--wait [duration]", `wait until the node is Ready, ${DEFAULT_WAIT} or this long`)
      .addHelpText("after", KEEPS_ON),
  )).action(async (node: string, _options: unknown, command: Command) => {
    const options = initOptions(node, command, context);
    await dropPermissions("init", context.permissions);
    await handler(options, context);
  });
}

/**
 * Adds `--records`, which the commands of an operator have.
 *
 * @internal
 */
export function withRecords(command: Command): Command {
  return command.option("--records <folder>", "records of clusters (default: ~/.config/bootstrapper)");
}

/** The folder of the operator's records. */
export function recordsFolder(command: ParsedOptions, context: CliContext): string {
  return optionalText(command, "records") ?? join(context.environment.configFolder, "bootstrapper");
}

function initOptions(node: string, command: Command, context: CliContext): InitOptions {
  const clusterName = clusterNameArgument(requiredText(command, "name"));
  const identity = optionalText(command, "expectIdentity");
  const wait = isSet(command, "wait") ? DEFAULT_WAIT : optionalText(command, "wait");
  return {
    node: readEndpoint(node, "NODE", DEFAULT_INIT_PORT),
    clusterName,
    policyFile: requiredText(command, "policy"),
    keyFile: requiredText(command, "key"),
    ...present("passphraseFile", optionalText(command, "passphraseFile")),
    otherOperatorFiles: textList(command, "otherOperator"),
    ...present("settingsFile", optionalText(command, "cluster")),
    ...present("expectIdentity", identity === undefined ? undefined : readIdentity(identity)),
    kubeconfigFile: optionalText(command, "kubeconfig") ?? `${clusterName}.kubeconfig`,
    clusterFile: optionalText(command, "clusterFile") ?? `${clusterName}.cluster.yaml`,
    ...present("waitMs", wait === undefined ? undefined : readDuration(wait, "--wait")),
    recordsFolder: recordsFolder(command, context),
    output: outputForm(command),
  };
}

function readIdentity(text: string): Bytes {
  if (/^[0-9a-fA-F]{64}$/.test(text)) return fromHex(text, "--expect-identity");
  throw new BootstrapError(
    "usage/identity",
    `Cannot use --expect-identity as it must be ${IDENTITY_BYTES} bytes in hexadecimal, as \`bootstrapper evidence\` prints it`,
  );
}
