/**
 * `bootstrapper join-service`, on what init has written for it.
 *
 * @module
 */
import { checkNodeName, createVerifier, readPolicy, roleOf } from "../attestation/policy.ts";
import { collateralOf } from "./collateral.ts";
import { readServiceState } from "../join/service_state.ts";
import { runJoinService } from "../join/service.ts";
import type { JoinServiceHandler } from "./join_service.ts";
import { terminationSignal } from "./termination.ts";

/** Serves until it is stopped. */
export const joinService: JoinServiceHandler = async (
  { folder, keyFile },
  { clock, log, environment: { credentialsFolder } },
): Promise<void> => {
  using termination = terminationSignal();
  const state = await readServiceState(folder, clock.now(), keyFile);
  const policy = readPolicy(state.policyDocument, "the policy of the join service");
  await runJoinService({
    ...{ state, clock, log },
    ...(credentialsFolder === undefined ? {} : { credentialsFolder }),
    verifier: createVerifier(policy, "node", collateralOf(policy), () => clock.now()),
    roleOf: (identity) => roleOf(policy, identity),
    checkNodeName: (identity, nodeName) => checkNodeName(policy, identity, nodeName),
    maximumClockSkewMs: policy.maximumClockSkewMs,
  }, termination.signal);
};
