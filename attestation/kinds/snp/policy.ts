/**
 * A policy's requirements for an SEV-SNP machine.
 *
 * @module
 */
import type { BitRules } from "../../bit_rules.ts";
import type { Product } from "./amd_roots.ts";
import type { VekKind } from "./chain.ts";
import type { GUEST_POLICY_BITS, PLATFORM_INFO_BITS } from "./report.ts";
import type { Tcb } from "./tcb.ts";

/** The minimum firmware versions of a line of processors. */
export interface TcbRules {
  /** The minimum of the TCB whose key signs reports. */
  readonly minimumTcb: Tcb;
  /** The minimum of the TCB that ran when the VM was launched. */
  readonly minimumLaunchTcb: Tcb;
}

/**
 * A policy's requirements for an SEV-SNP machine. Debugging and migration are never allowed, and VMPL 0 is always
 * required.
 */
export interface SnpPolicy {
  /** The allowed lines of processors. */
  readonly products: ReadonlyMap<Product, TcbRules>;
  /** The kinds of keys that may sign. */
  readonly signingKeys: readonly VekKind[];
  /** The clouds whose keys may sign (CSP_ID), for `vlek`. */
  readonly providers: readonly string[];
  /** Whether a host may sign with the key of an older TCB than the running one, as hosts do during an update. */
  readonly allowsLaggingTcb: boolean;
  /** Allowed launch digests, 48 bytes each. */
  readonly measurements: readonly Uint8Array[];
  /** Bits of the guest policy. */
  readonly guestPolicy: BitRules<keyof typeof GUEST_POLICY_BITS>;
  /** Bits of the host's PLATFORM_INFO. */
  readonly platformInfo: BitRules<keyof typeof PLATFORM_INFO_BITS>;
  /** Whether reserved bytes of a report, which later firmware may use, must be zero. Default: no. */
  readonly requiresZeroReserved?: boolean;
  /** Allowed ID keys, SHA-384. If unset, any ID key or none is allowed. */
  readonly idKeys?: readonly Uint8Array[];
  /** Allowed author keys, SHA-384. If unset, any author key or none is allowed. */
  readonly authorKeys?: readonly Uint8Array[];
  /** Allowed chips, lower-case hexadecimal. If unset, any chip is allowed. */
  readonly chipIds?: ReadonlySet<string>;
  /** Banned chips, lower-case hexadecimal. */
  readonly bannedChipIds: ReadonlySet<string>;
}
