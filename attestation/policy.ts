/**
 * The policy: which machines are let in, and as what.
 *
 * @module
 */
import { readDocument } from "../platform/document.ts";
import type { EvidenceVerifier } from "./evidence.ts";
import { createInsecureVerifier } from "./none/verifier.ts";
import { policySchema } from "./policy_schema.ts";
import { createTpmVerifier, type TpmPolicy } from "./tpm/verifier.ts";

/** What a policy says whatever the kind of evidence. */
export interface PolicyCommon {
  /** Identities that may be control planes, lower-case hexadecimal. */
  readonly controlPlanes: ReadonlySet<string>;
  /** How far a peer's clock may be off. */
  readonly maximumClockSkewMs: number;
}

/** A policy that wants a TPM. */
export interface PolicyForTpm extends PolicyCommon {
  /** The one kind of evidence that is accepted. */
  readonly variant: "tpm";
  /** What is wanted of the TPM. */
  readonly tpm: TpmPolicy;
}

/** A policy that wants no proof: development only. */
export interface PolicyForNone extends PolicyCommon {
  /** The one kind of evidence that is accepted. */
  readonly variant: "none";
}

/** A policy. */
export type Policy = PolicyForTpm | PolicyForNone;

/** What a machine may be in a cluster. */
export type NodeRole = "control-plane" | "worker";

/**
 * Reads a policy document; `deploy/policy.example.yaml` shows one.
 *
 * @param text YAML.
 * @param what What the document is, for errors: a path, or "the policy".
 * @throws {BootstrapError} `usage/document`, naming the path of the key that is wrong.
 */
export function readPolicy(text: string, what: string): Policy {
  const { tpm, roles, maximumClockSkewSeconds } = readDocument(text, policySchema, what);
  const common = { controlPlanes: new Set(roles.controlPlanes), maximumClockSkewMs: maximumClockSkewSeconds * 1000 };
  if (tpm === undefined) return { ...common, variant: "none" };
  const { ekType, pcrs, trust } = tpm;
  return {
    ...common,
    variant: "tpm",
    tpm: {
      ekType,
      pcrs: new Map(Object.entries(pcrs).map(([index, values]) => [Number(index), values])),
      trust: { identities: new Set(trust.identities), issuers: trust.issuers },
    },
  };
}

/**
 * The verifier of the one kind of evidence that a policy accepts.
 *
 * @param policy The policy.
 * @param now The time of day, for certificates.
 */
export function createVerifier(policy: Policy, now: () => Date): EvidenceVerifier {
  return policy.variant === "tpm" ? createTpmVerifier(policy.tpm, now) : createInsecureVerifier();
}

/** The role that a policy gives to an identity; a worker's wherever it does not say more. */
export function roleOf(policy: Policy, identity: string): NodeRole {
  return policy.controlPlanes.has(identity) ? "control-plane" : "worker";
}
