/**
 * The commands `bootstrapper node founding sign` and `bootstrapper node founding add`.
 *
 * @module
 */
import { clusterIdText, readClusterId } from "../../certificate/cluster_id.ts";
import { NO_IDENTITY } from "../../attestation/evidence.ts";
import type { ClusterRecord } from "../../operator/cluster_records.ts";
import { holdRecord } from "../../operator/cluster_records.ts";
import type { Bytes } from "../../platform/bytes.ts";
import { hex, randomBytes } from "../../platform/bytes.ts";
import { BootstrapError } from "../../platform/errors.ts";
import { readFile } from "../../platform/files.ts";
import { createFounding } from "../../protocol/founding.ts";
import { foundingFileText, MAXIMUM_FOUNDING_FILE_BYTES, readFoundingFile } from "../../protocol/founding_file.ts";
import type { Founding } from "../../proto/gen/bootstrapper.ts";
import { addFounding, hasServiceState } from "../../service/service_state.ts";
import type { CliContext, OutputForm } from "../context.ts";
import { readOperatorKeyFile } from "../operator_key_file.ts";
import { printResult } from "../output.ts";

/** The options of `node founding sign`. */
export interface FoundingSignOptions {
  readonly clusterName: string;
  /** `sha256:…`. */
  readonly clusterId: string;
  /** The file of the operator's private key. */
  readonly keyFile: string;
  /** The file with the key's passphrase. */
  readonly passphraseFile?: string;
  /** The folder of the operator's cluster records. */
  readonly recordsFolder: string;
}

/**
 * Prints a founding file.
 *
 * @throws {BootstrapError} `precondition/cluster-exists` if the operator's records have another cluster of that name;
 *   `malformed/cluster-id`; the errors of the operator's key.
 */
export async function foundingSign(options: FoundingSignOptions, context: CliContext): Promise<void> {
  const clusterId = readClusterId(options.clusterId, "--cluster-id");
  context.print(foundingFileText(await foundStanding({ ...options, clusterId }, context)));
}

/** A cluster that stands already, and the operator that founds it. */
export interface StandingCluster extends Omit<FoundingSignOptions, "clusterId"> {
  /** 32 bytes. */
  readonly clusterId: Bytes;
}

/**
 * Signs the founding of a cluster that stands already, after it is on the operator's record.
 *
 * @throws {BootstrapError} `precondition/cluster-exists` if the records have another cluster of that name; the errors of
 *   the operator's key.
 */
export async function foundStanding(
  { clusterName, clusterId, keyFile, passphraseFile, recordsFolder }: StandingCluster,
  context: CliContext,
): Promise<Founding> {
  using held = await holdRecord(recordsFolder, clusterName);
  const { current } = held;
  // Nodes that are offered two clusters of one name join neither.
  if (current !== undefined && current.clusterId !== hex(clusterId)) {
    throw new BootstrapError(
      "precondition/cluster-exists",
      `The records have another cluster of the name "${clusterName}": sha256:${current.clusterId}`,
      {
        next: "Sign for that cluster, or give the nodes of the new one another name",
        details: { clusterName, clusterId: current.clusterId },
      },
    );
  }
  const operator = await readOperatorKeyFile(keyFile, passphraseFile, context.terminal);
  // On disk before anything is signed: a second cluster of the name must be refused whatever becomes of this process.
  if (current === undefined) await held.write(recordOf(clusterName, clusterId, operator.spki, context.clock.now()));
  return await createFounding(operator, clusterId, clusterName);
}

/** The record of a cluster that this operator did not initialise. Nothing else is known of it. */
function recordOf(clusterName: string, clusterId: Uint8Array, spki: Uint8Array, now: Date): ClusterRecord {
  return {
    version: 1,
    ...{ clusterName, clusterId: hex(clusterId), state: "founded", identity: NO_IDENTITY },
    ...{ operationId: hex(randomBytes(16)), operatorKey: hex(spki) },
    ...{ clusterDocument: "", policyDocument: "", adminKeyPem: "", time: now.toISOString() },
  };
}

/** Starts the signer again, and with it the front. */
const RESTART = "systemctl restart bootstrapper-join-signer";

/** The options of `node founding add`. */
export interface FoundingAddOptions {
  /** The founding file. */
  readonly file: string;
  readonly output: OutputForm;
}

/**
 * Adds a founding to the state of this machine's join service, which shows it from its next start on.
 *
 * @throws {BootstrapError} `precondition/no-join-service`; `malformed/founding-file`; `refused/…` if the founding is not
 *   by an operator of this cluster, or for another cluster; `system/…`.
 */
export async function foundingAdd({ file, output }: FoundingAddOptions, context: CliContext): Promise<void> {
  const { paths } = context;
  const founding = readFoundingFile(await readFile(file, MAXIMUM_FOUNDING_FILE_BYTES), file);
  if (!await hasServiceState(paths.joinService)) {
    throw new BootstrapError("precondition/no-join-service", "This machine has no join service", {
      next: "Call the command on a control plane",
    });
  }
  const isAdded = await addFounding(paths.joinService, founding);
  const { clusterName, clusterId } = founding;
  const text = isAdded
    ? `The founding of ${clusterName} is added. The join service shows it after \`${RESTART}\`.`
    : `The founding of ${clusterName} was added before. The join service shows it if it was started since.`;
  printResult(context, output, { clusterName, clusterId: clusterIdText(clusterId), added: isAdded }, text);
}
