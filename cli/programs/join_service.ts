/**
 * `bootstrapper join-service`, on what init has written for it.
 *
 * @module
 */
import { createVerifier } from "../../attestation/policy/policy_verifier.ts";
import { collateralOf } from "../collateral.ts";
import { readPolicyDocument, readServiceState } from "../../service/service_state.ts";
import { runJoinService } from "../../service/service.ts";
import type { JoinServiceHandler } from "../commands/join_service.ts";
import { terminationSignal } from "../termination.ts";

/** Serves until it is stopped. */
export const joinService: JoinServiceHandler = async (
  { folder, keyFile },
  { clock, log, environment: { credentialsFolder } },
): Promise<void> => {
  using termination = terminationSignal();
  const state = await readServiceState(folder, clock.now(), keyFile);
  await runJoinService({
    ...{ state, clock, log },
    ...(credentialsFolder === undefined ? {} : { credentialsFolder }),
    createVerifier: (policy) => createVerifier(policy, "node", collateralOf(policy, clock), () => clock.now()),
    readPolicyDocument: () => readPolicyDocument(folder),
  }, termination.signal);
};
