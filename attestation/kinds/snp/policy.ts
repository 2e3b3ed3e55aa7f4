/**
 * What a policy wants of an SEV-SNP machine.
 *
 * @module
 */
import type { Product } from "./amd_roots.ts";
import type { VekKind } from "./chain.ts";
import type { GUEST_POLICY_BITS, PLATFORM_INFO_BITS } from "./report.ts";
import type { Tcb } from "./tcb.ts";

/** Bits that must be set, and bits that must not, by name. */
export interface BitRules<Name extends string> {
  /** Must be set. */
  readonly required: readonly Name[];
  /** Must not be set. */
  readonly forbidden: readonly Name[];
}

/** How old the firmware of a line of processors may be. */
export interface TcbRules {
  /** Of the TCB that signs. */
  readonly minimumTcb: Tcb;
  /** Of the TCB that ran when the VM was launched. */
  readonly minimumLaunchTcb: Tcb;
}

/** What a policy wants of an SEV-SNP machine. Debugging and migration are never allowed, and VMPL 0 is always wanted. */
export interface SnpPolicy {
  /** The lines of processors that are let in. */
  readonly products: ReadonlyMap<Product, TcbRules>;
  /** Which keys may sign. */
  readonly signingKeys: readonly VekKind[];
  /** The clouds whose keys may sign (CSP_ID), for `vlek`. */
  readonly providers: readonly string[];
  /** Whether a host may sign with the key of an older TCB than the one that runs, as hosts in an update do. */
  readonly allowsLaggingTcb: boolean;
  /** Allowed launch digests, 48 bytes each. */
  readonly measurements: readonly Uint8Array[];
  /** Of the guest policy. */
  readonly guestPolicy: BitRules<keyof typeof GUEST_POLICY_BITS>;
  /** Of the host. */
  readonly platformInfo: BitRules<keyof typeof PLATFORM_INFO_BITS>;
  /** Allowed ID keys, SHA-384; any, and none, where the policy does not say. */
  readonly idKeys?: readonly Uint8Array[];
  /** Allowed author keys, SHA-384; any, and none, where the policy does not say. */
  readonly authorKeys?: readonly Uint8Array[];
  /** Chips that are let in, lower-case hexadecimal; any where the policy does not say. */
  readonly chipIds?: ReadonlySet<string>;
  /** Chips that are not let in, lower-case hexadecimal. */
  readonly bannedChipIds: ReadonlySet<string>;
}
