import type { EvidenceIssuer } from "../attestation/evidence.ts";
import { asBootstrapError, errorFamily } from "../platform/errors.ts";
import type { BootstrapError } from "../platform/errors.ts";
import { present } from "../platform/present.ts";

/**
 * Wraps an issuer to tell when this machine's own device fails. A device that failed stays broken for this process, and
 * no peer is to blame: the process ends, and a new one opens the device anew.
 *
 * @param onBroken Called with each error of the family `system`, before the caller gets it.
 */
export function watchedIssuer(issuer: EvidenceIssuer, onBroken: (error: BootstrapError) => void): EvidenceIssuer {
  const watch = async <T>(work: Promise<T>): Promise<T> => {
    try {
      return await work;
    } catch (cause) {
      const error = asBootstrapError(cause);
      if (errorFamily(error.code) === "system") onBroken(error);
      throw error;
    }
  };
  return {
    variant: issuer.variant,
    isChallenged: issuer.isChallenged,
    ...present("identityIsKey", issuer.identityIsKey),
    ...present("identityIsOfBoot", issuer.identityIsOfBoot),
    issue: (statement) => watch(issuer.issue(statement)),
    activate: (challenge) => watch(issuer.activate(challenge)),
    ownIdentity: (bound) => watch(issuer.ownIdentity(bound)),
  };
}
