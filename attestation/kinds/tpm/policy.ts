/**
 * What a policy wants of a TPM.
 *
 * @module
 */
import type { EkTrust } from "./ek_trust.ts";
import type { EkType } from "./templates.ts";

/** What a policy wants of a TPM. */
export interface TpmPolicy {
  /** The one kind of endorsement key; another kind would be another identity of the same machine. */
  readonly ekType: EkType;
  /** Allowed values of SHA-256 PCRs, 32 bytes each, by the PCR's number from 0 to 15; 12 and 15 are the protocol's. */
  readonly pcrs: ReadonlyMap<number, readonly Uint8Array[]>;
  /** Which endorsement keys. */
  readonly trust: EkTrust;
}
