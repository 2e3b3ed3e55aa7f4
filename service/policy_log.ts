import { isInsecure, type Policy } from "../attestation/policy/policy.ts";
import { UNMEASURED } from "../attestation/policy/policy_remarks.ts";
import type { Log, LogFields } from "../platform/log.ts";

/**
 * Returns a log whose every line says what the policy in force does not check.
 *
 * @param policy Returns the policy in force, which may change between two lines.
 */
export function policyLog(log: Log, policy: () => Policy): Log {
  return {
    event: (level, name, fields) => log.with(weaknessesOf(policy())).event(level, name, fields),
    with: (fields) => policyLog(log.with(fields), policy),
  };
}

function weaknessesOf(policy: Policy): LogFields {
  return {
    ...(isInsecure(policy) ? { insecure: "evidence is not verified: variant none" } : {}),
    ...(policy.allowedSwitches.includes("allowUnmeasuredImage") ? { unmeasured: UNMEASURED } : {}),
  };
}
