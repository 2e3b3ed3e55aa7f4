import type { EvidenceIssuer } from "../attestation/evidence.ts";
import type { NodeLock } from "../nodelock/lock.ts";
import { present } from "../platform/present.ts";
import { BootstrapError } from "../platform/errors.ts";

/**
 * Wraps an issuer so that it makes no evidence between the taking of the lock and its measurement, when the lock and
 * the registers contradict each other.
 *
 * In that time, `issue()` throws `unavailable/locking`.
 */
export function guardedIssuer(issuer: EvidenceIssuer, lock: NodeLock): EvidenceIssuer {
  const isSettled = (name: string) => name === "unlocked" || name === "locked";
  return {
    variant: issuer.variant,
    isChallenged: issuer.isChallenged,
    ...present("identityIsKey", issuer.identityIsKey),
    ...present("identityIsOfBoot", issuer.identityIsOfBoot),
    activate: (challenge) => issuer.activate(challenge),
    ownIdentity: (bound) => issuer.ownIdentity(bound),
    async issue(statement) {
      const before = lock.state().name;
      const evidence = isSettled(before) ? await issuer.issue(statement) : undefined;
      if (evidence !== undefined && lock.state().name === before) return evidence;
      throw new BootstrapError("unavailable/locking", "This node is being locked and makes no evidence yet");
    },
  };
}
