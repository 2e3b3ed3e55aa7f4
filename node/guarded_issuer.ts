import type { EvidenceIssuer } from "../attestation/evidence.ts";
import type { NodeLock } from "../nodelock/lock.ts";
import { BootstrapError } from "../platform/errors.ts";

/**
 * An issuer that makes no evidence between the lock and the measurement that shows it: the two would contradict each other.
 * It throws `unavailable/locking` then.
 */
export function guardedIssuer(issuer: EvidenceIssuer, lock: NodeLock): EvidenceIssuer {
  const isSettled = (name: string) => name === "unlocked" || name === "locked";
  return {
    variant: issuer.variant,
    isChallenged: issuer.isChallenged,
    activate: (challenge) => issuer.activate(challenge),
    ownIdentity: (bound) => issuer.ownIdentity(bound),
    async issue(statement) {
      const before = lock.state().name;
      const evidence = isSettled(before) ? await issuer.issue(statement) : undefined;
      if (evidence !== undefined && lock.state().name === before) return evidence;
      throw new BootstrapError("unavailable/locking", "This node is being locked just now, and makes no evidence");
    },
  };
}
