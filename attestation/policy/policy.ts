/**
 * The policy: which machines are let in, and as what.
 *
 * @module
 */
import type { NodeRole } from "../../kubernetes/node_role.ts";
import { refusal } from "../../protocol/refusal.ts";
import { readDocument } from "../../platform/document.ts";
import type { EvidenceVariant } from "../evidence.ts";
import type { CollateralPlaces, PeerKind, TpmDocument } from "./policy_schema.ts";
import { policySchema } from "./policy_schema.ts";
import type { SnpPolicy } from "../kinds/snp/policy.ts";
import type { TdxPolicy } from "../kinds/tdx/policy.ts";
import type { TpmPolicy } from "../kinds/tpm/verifier.ts";

export type { CollateralPlaces, PeerKind } from "./policy_schema.ts";

/** A policy. */
export interface Policy {
  /** The kinds of evidence that each kind of peer must show, all of them; the first gives the identity. */
  readonly required: Readonly<Record<PeerKind, readonly EvidenceVariant[]>>;
  /** What is wanted of a TPM. */
  readonly tpm?: TpmPolicy;
  /** What is wanted of SEV-SNP. */
  readonly snp?: SnpPolicy;
  /** What is wanted of TDX. */
  readonly tdx?: TdxPolicy;
  /** Where to look for what vendors sign and the evidence does not bring. */
  readonly collateral: CollateralPlaces;
  /** Identities that are not let in, lower-case hexadecimal. */
  readonly bannedIdentities: ReadonlySet<string>;
  /** Identities that may be control planes, lower-case hexadecimal. */
  readonly controlPlanes: ReadonlySet<string>;
  /** Patterns of the names that an identity may have; {@linkcode checkNodeName}. */
  readonly names: { readonly default: readonly string[]; readonly byIdentity: ReadonlyMap<string, readonly string[]> };
  /** How far a peer's clock may be off. */
  readonly maximumClockSkewMs: number;
}

/**
 * Reads a policy document; `deploy/policy.example.yaml` shows one.
 *
 * @param text YAML.
 * @param what What the document is, for errors: a path, or "the policy".
 * @throws {BootstrapError} `usage/document`, naming the path of the key that is wrong.
 */
export function readPolicy(text: string, what: string): Policy {
  const document = readDocument(text, policySchema, what);
  const { variant, tpm, snp, tdx, collateral, bannedIdentities, roles, names } = document;
  return {
    required: variant,
    ...(tpm === undefined ? {} : { tpm: tpmPolicyOf(tpm) }),
    ...(snp === undefined ? {} : { snp }),
    ...(tdx === undefined ? {} : { tdx }),
    collateral,
    bannedIdentities: new Set(bannedIdentities),
    controlPlanes: new Set(roles.controlPlanes),
    names: { default: names.default, byIdentity: new Map(Object.entries(names.byIdentity)) },
    maximumClockSkewMs: document.maximumClockSkewSeconds * 1000,
  };
}

function tpmPolicyOf({ ekType, pcrs, trust }: TpmDocument): TpmPolicy {
  return {
    ekType,
    pcrs: new Map(Object.entries(pcrs).map(([index, values]) => [Number(index), values])),
    trust: { identities: new Set(trust.identities), issuers: trust.issuers },
  };
}

/** Whether a policy believes everybody: development only. */
export function isInsecure({ required }: Policy): boolean {
  return required.node.includes("none");
}

/** The role that a policy gives to an identity; a worker's wherever it does not say more. */
export function roleOf(policy: Policy, identity: string): NodeRole {
  return policy.controlPlanes.has(identity) ? "control-plane" : "worker";
}

/**
 * Checks that a policy lets an identity have a name.
 *
 * @throws {BootstrapError} `refused/node-name`.
 */
export function checkNodeName({ names }: Policy, identity: string, nodeName: string): void {
  const patterns = names.byIdentity.get(identity) ?? names.default;
  if (patterns.some((pattern) => matches(pattern, nodeName))) return;
  throw refusal(
    "node-name",
    `The policy does not let the identity ${identity} have the name ${nodeName}`,
    patterns.join(", "),
    nodeName,
    "Give the node a name that the policy allows, or have an operator change names in the policy",
  );
}

/** Compares by dynamic programming, as a regular expression of many stars could take for ever. */
function matches(pattern: string, name: string): boolean {
  let reached: ReadonlySet<number> = new Set([0]);
  for (const character of pattern) {
    const next = new Set<number>();
    for (const at of reached) {
      if (character === "*") { for (let end = at; end <= name.length; end++) next.add(end); }
      else if (at < name.length && (character === "?" || character === name[at])) next.add(at + 1);
    }
    reached = next;
  }
  return reached.has(name.length);
}
