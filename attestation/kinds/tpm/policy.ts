/**
 * A policy's requirements for a TPM.
 *
 * @module
 */
import type { EkTrust } from "./ek_trust.ts";
import type { EkType } from "./templates.ts";

/** A policy's requirements for a TPM. */
export interface TpmPolicy {
  /** The only accepted type of endorsement key. A key of another type would be another identity of the same machine. */
  readonly ekType: EkType;
  /** Allowed values of SHA-256 PCRs, 32 bytes each, by PCR number from 0 to 15. The protocol uses 12 and 15. */
  readonly pcrs: ReadonlyMap<number, readonly Uint8Array[]>;
  /** The trusted endorsement keys. */
  readonly trust: EkTrust;
}
