/**
 * The command `bootstrapper join-service prover`, with this machine's devices.
 *
 * @module
 */
import { isInsecure } from "../../node/configuration.ts";
import { loadNodeConfiguration } from "../../node/configuration_source.ts";
import { LockFile } from "../../nodelock/file.ts";
import { BootstrapError } from "../../platform/errors.ts";
import { present } from "../../platform/present.ts";
import { serveProofs } from "../../service/prover.ts";
import type { CliContext } from "../context.ts";
import { kindsOf } from "../kinds.ts";
import type { Machine } from "../machine.ts";
import { evidenceOf } from "../machine_evidence.ts";
import { terminationSignal } from "../termination.ts";

/** The options of `join-service prover`. */
export interface JoinProverOptions {
  /** The file of the node's configuration. */
  readonly config?: string;
  /** The socket for the signer. */
  readonly socket: string;
}

/** What needs permissions that the command does not keep. */
export interface ProvingMachine {
  readonly machine: Machine;
  readonly listener: Deno.Listener;
}

/**
 * Runs the prover until it is stopped, or until the process that has the machine's devices ends.
 *
 * @throws {BootstrapError} `precondition/no-cluster` without a lock, `precondition/no-tpm`, `usage/…` for the
 *   configuration, `system/…`.
 */
export async function joinProver(
  { config }: JoinProverOptions,
  context: CliContext,
  { machine, listener }: ProvingMachine,
): Promise<void> {
  using termination = terminationSignal();
  const { paths, clock, log, environment } = context;
  const { configuration: { evidence } } = await loadNodeConfiguration({
    ...present("file", config),
    ...present("credentialsFolder", environment.credentialsFolder),
    firmware: machine.firmware,
    paths,
    kinds: kindsOf(context),
  });
  const lock = await new LockFile(paths.state).read();
  if (lock === undefined) throw new BootstrapError("precondition/no-cluster", "This node belongs to no cluster");
  if (isInsecure(evidence)) log.event("warn", "insecure-evidence-none");
  const { issuer } = await evidenceOf(machine, evidence, context);
  const serving = serveProofs({ listener, issuer, clusterId: lock.clusterId, clock, log }, termination.signal);
  log.event("info", "join-prover-started", { variant: issuer.variant });
  await (machine.deviceEnd === undefined ? serving : Promise.race([serving, machine.deviceEnd]));
  log.event("info", "join-prover-stopped");
}
