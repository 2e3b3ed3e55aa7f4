/**
 * What a policy wants of an Intel TDX machine.
 *
 * @module
 */
import type { TcbStatus } from "./tcb_status.ts";

/** A state that a policy may allow. */
export type AllowableTcbStatus = Exclude<TcbStatus, "Revoked">;

/** What a policy allows where it does not say more. */
export const DEFAULT_TCB_STATUSES: readonly AllowableTcbStatus[] = ["UpToDate"];

/**
 * What a policy wants of a TD. Debugging and migration are never allowed, SEPT_VE_DISABLE is always wanted, MRCONFIGID and RTMR 3
 * are the protocol's.
 */
export interface TdxPolicy {
  /** Allowed values of MRTD, 48 bytes each: the virtual firmware. */
  readonly mrtd: readonly Uint8Array[];
  /** Allowed values of RTMR 0, which the VM's shape goes into (number of processors, memory); any where the policy does not say. */
  readonly rtmr0?: readonly Uint8Array[];
  /** Allowed values of RTMR 1, 48 bytes each: the kernel. */
  readonly rtmr1: readonly Uint8Array[];
  /** Allowed values of RTMR 2, 48 bytes each: the kernel's arguments and the initial file system. */
  readonly rtmr2: readonly Uint8Array[];
  /** Allowed states of the whole; {@linkcode DEFAULT_TCB_STATUSES} where there is no reason for more. */
  readonly tcbStatuses: readonly AllowableTcbStatus[];
  /** The lowest TEE_TCB_SVN, 16 bytes; the module's version and SVN count as one number. */
  readonly minimumTeeTcbSvn: Uint8Array;
  /** The lowest number of Intel's evaluation (tcbEvaluationDataNumber) that collateral may be of. */
  readonly minimumEvaluation: number;
  /** PPIDs that are let in, lower-case hexadecimal; any where the policy does not say. */
  readonly platforms?: ReadonlySet<string>;
  /** PPIDs that are not let in, lower-case hexadecimal. */
  readonly bannedPlatforms: ReadonlySet<string>;
}
