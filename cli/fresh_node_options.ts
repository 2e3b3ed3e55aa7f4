/**
 * `--node` and its companion options, which name a fresh node that gives its evidence to an operator.
 *
 * @module
 */
import type { Command } from "commander";
import type { Endpoint } from "../platform/endpoint.ts";
import { readEndpoint } from "../platform/endpoint.ts";
import { BootstrapError } from "../platform/errors.ts";
import { present } from "../platform/present.ts";
import { clusterNameArgument } from "./cluster_name.ts";
import type { ParsedOptions } from "./options.ts";
import { optionalText, textList } from "./options.ts";

/** The default port of an InitServer. */
export const DEFAULT_INIT_PORT = 9443;

/** A fresh node, and the operator's keys. */
export interface FreshNodeOptions {
  /** The endpoint of the node's InitServer. */
  readonly node: Endpoint;
  /** The name of the node's cluster, an RFC 1123 label. */
  readonly clusterName: string;
  /** The file with the operator's private key. */
  readonly keyFile: string;
  /** The file with the key's passphrase. Without it, an encrypted key's passphrase is asked at the terminal. */
  readonly passphraseFile?: string;
  /**
   * Files with the public keys of the node's other operators. They are needed because the keys of all operators are
   * measured together.
   */
  readonly otherOperatorFiles: readonly string[];
}

const NODE_OPTIONS: readonly (readonly [key: string, flag: string])[] = [
  ["name", "--name"],
  ["key", "--key"],
  ["passphraseFile", "--passphrase-file"],
  ["otherOperator", "--other-operator"],
];

/**
 * Adds `--node` and its companion options.
 *
 * @internal
 */
export function withFreshNode(command: Command): Command {
  return command
    .option("--node <node>", "ask a fresh node, HOST[:PORT]; it stays fresh")
    .option("--name <name>", "with --node: the name of its cluster")
    .option("--key <file>", "with --node: the operator's private key")
    .option("--passphrase-file <file>", "passphrase of the key (default: from the terminal)")
    .option("--other-operator <file...>", "public keys of the node's other operators");
}

/**
 * Reads `--node` and its companion options.
 *
 * @throws {BootstrapError} `usage/node` if an option is missing, or is given without `--node`; `usage/endpoint`,
 *   `usage/cluster-name`.
 */
export function freshNodeOptions(command: ParsedOptions): FreshNodeOptions | undefined {
  const node = optionalText(command, "node");
  const [clusterName, keyFile] = [optionalText(command, "name"), optionalText(command, "key")];
  if (node === undefined) {
    const given = NODE_OPTIONS.find(([key]) => command.getOptionValue(key) !== undefined);
    if (given === undefined) return undefined;
    throw new BootstrapError("usage/node", `${given[1]} goes with --node only`, { next: "Name the node with --node" });
  }
  if (clusterName === undefined || keyFile === undefined) {
    throw new BootstrapError(
      "usage/node",
      "--node needs --name and --key, as a node gives evidence to its operators only",
      {
        next: "Give the name of its cluster, and the private key of one of its operators",
      },
    );
  }
  return {
    node: readEndpoint(node, "--node", DEFAULT_INIT_PORT),
    clusterName: clusterNameArgument(clusterName),
    keyFile,
    ...present("passphraseFile", optionalText(command, "passphraseFile")),
    otherOperatorFiles: textList(command, "otherOperator"),
  };
}
