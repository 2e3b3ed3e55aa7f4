/**
 * The command `bootstrapper join-service signer`. It runs on the files that init wrote for it.
 *
 * @module
 */
import { basename, dirname, join } from "node:path";
import { AUTHORIZATION_FOLDER } from "../../kubernetes/authorization_configuration.ts";
import { present } from "../../platform/present.ts";
import { createVerifier } from "../../attestation/policy/policy_verifier.ts";
import { readPolicyDocument, readServiceState } from "../../service/service_state.ts";
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
  /** The file of the private key, if it is not in the folder. systemd provides it as a credential. */
  readonly keyFile?: string;
}

/** Runs the signer until it is stopped. */
export async function joinSigner(
  { folder, keyFile }: JoinSignerOptions,
  context: CliContext,
  listener: Deno.Listener,
): Promise<void> {
  const { clock, log, paths, environment: { credentialsFolder } } = context;
  using termination = terminationSignal();
  const state = await readServiceState(folder, clock.now(), keyFile);
  await runJoinService({
    ...{ listener, state, clock, log, kinds: kindsOf(context) },
    keptFolder: join(dirname(folder), basename(paths.joinSigner)),
    ...present("credentialsFolder", credentialsFolder),
    authorizationFolder: join(paths.kubernetes, basename(AUTHORIZATION_FOLDER)),
    createVerifier: (policy, fetch) =>
      createVerifier(policy, "node", serviceCollateralOf(policy, clock, fetch), () => clock.now()),
    readPolicyDocument: () => readPolicyDocument(folder),
  }, termination.signal);
}
