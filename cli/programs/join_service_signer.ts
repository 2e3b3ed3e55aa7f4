/**
 * The command `bootstrapper join-service signer`. It runs on the files that init wrote for it.
 *
 * @module
 */
import { basename, dirname, join } from "node:path";
import { AUTHORIZATION_FOLDER } from "../../kubernetes/authorization_configuration.ts";
import { BootstrapError } from "../../platform/errors.ts";
import { createVerifier } from "../../attestation/policy/policy_verifier.ts";
import { readPolicyDocument, readServiceState, SERVICE_KEY_FILE } from "../../service/service_state.ts";
import { connectProver } from "../../service/prover.ts";
import { runJoinService } from "../../service/service.ts";
import { serviceCollateralOf } from "../collateral.ts";
import { kindsOf } from "../kinds.ts";
import type { CliContext } from "../context.ts";
import { terminationSignal } from "../termination.ts";

/** The options of `join-service signer`. */
export interface JoinSignerOptions {
  /** The folder with the state of the service. */
  readonly folder: string;
  /** The socket for the front. */
  readonly socket: string;
  /** The front's socket for connections to other members of etcd. */
  readonly dialer: string;
  /** The socket of the process that makes evidence. */
  readonly prover: string;
}

/**
 * Runs the signer until it is stopped.
 *
 * @throws {BootstrapError} `precondition/ca-key` without credentials, and the errors of `runJoinService()`.
 */
export async function joinSigner(
  { folder, dialer, prover }: JoinSignerOptions,
  context: CliContext,
  listener: Deno.Listener,
): Promise<void> {
  const { clock, log, paths, environment: { credentialsFolder } } = context;
  if (credentialsFolder === undefined) {
    throw new BootstrapError("precondition/ca-key", "The signer has no credentials with the key of the cluster's CA", {
      next: "Start it by its unit, which loads the credentials",
    });
  }
  using termination = terminationSignal();
  const state = await readServiceState(folder, clock.now(), join(credentialsFolder, SERVICE_KEY_FILE));
  await runJoinService({
    ...{ listener, dialer, state, clock, log, kinds: kindsOf(context) },
    prover: connectProver(prover, clock),
    keptFolder: join(dirname(folder), basename(paths.joinSigner)),
    credentialsFolder,
    authorizationFolder: join(paths.kubernetes, basename(AUTHORIZATION_FOLDER)),
    createVerifier: (policy, fetch) =>
      createVerifier(policy, "node", serviceCollateralOf(policy, clock, fetch), () => clock.now()),
    readPolicyDocument: () => readPolicyDocument(folder),
  }, termination.signal);
}
