/**
 * A policy's requirements for an Intel TDX machine.
 *
 * @module
 */
import type { BitRules } from "../../bit_rules.ts";
import type { ATTRIBUTE_BITS, XFAM_BITS } from "./td_bits.ts";
import type { TcbStatus } from "./tcb_status.ts";

/** A TCB state that a policy may allow. */
export type AllowableTcbStatus = Exclude<TcbStatus, "Revoked">;

/** The TCB states that a policy allows by default. */
export const DEFAULT_TCB_STATUSES: readonly AllowableTcbStatus[] = ["UpToDate"];

/**
 * A policy's requirements for a TD. Debugging and migration are never allowed, and SEPT_VE_DISABLE is always required.
 * The protocol uses MRCONFIGID and RTMR 3.
 */
export interface TdxPolicy {
  /** Allowed values of MRTD, 48 bytes each: the virtual firmware. */
  readonly mrtd: readonly Uint8Array[];
  /**
   * Allowed values of RTMR 0. It depends on the VM's shape (number of processors, memory). If unset, any value is
   * allowed.
   */
  readonly rtmr0?: readonly Uint8Array[];
  /** Allowed values of RTMR 1, 48 bytes each: the kernel. */
  readonly rtmr1: readonly Uint8Array[];
  /** Allowed values of RTMR 2, 48 bytes each: the kernel's arguments and the initial file system. */
  readonly rtmr2: readonly Uint8Array[];
  /** Allowed overall TCB states. {@linkcode DEFAULT_TCB_STATUSES}, unless there is a reason for more. */
  readonly tcbStatuses: readonly AllowableTcbStatus[];
  /** Rules for TDATTRIBUTES. {@linkcode DANGEROUS_ATTRIBUTES} are refused whatever they say. */
  readonly attributes?: BitRules<keyof typeof ATTRIBUTE_BITS>;
  /** Rules for XFAM. */
  readonly xfam?: BitRules<keyof typeof XFAM_BITS>;
  /** The lowest TEE_TCB_SVN, 16 bytes. The module's version and SVN count as one number. */
  readonly minimumTeeTcbSvn: Uint8Array;
  /** The lowest accepted number of Intel's evaluation (tcbEvaluationDataNumber) in collateral. */
  readonly minimumEvaluation: number;
  /** Allowed PPIDs, lower-case hexadecimal. If unset, any PPID is allowed. */
  readonly platforms?: ReadonlySet<string>;
  /** Banned PPIDs, lower-case hexadecimal. */
  readonly bannedPlatforms: ReadonlySet<string>;
}
