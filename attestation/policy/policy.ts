/**
 * The policy: which machines are let in, and as what.
 *
 * @module
 */
import type { NodeRole } from "../../kubernetes/node_role.ts";
import { refusal } from "../../protocol/refusal.ts";
import { readDocument } from "../../platform/document.ts";
import { BootstrapError } from "../../platform/errors.ts";
import type { EvidenceKind } from "../kind.ts";
import { kindNamed } from "../kind.ts";
import { KINDS } from "../kinds.ts";
import type { CollateralPlaces, PeerKind } from "./policy_schema.ts";
import { policySchema } from "./policy_schema.ts";

export type { CollateralPlaces, PeerKind } from "./policy_schema.ts";

/** A policy. */
export interface Policy {
  /** The kinds of evidence that each kind of peer must show, all of them; the first gives the identity. */
  readonly required: Readonly<Record<PeerKind, readonly EvidenceKind[]>>;
  /** What is wanted of each kind, by its name; see {@linkcode sectionOf}. */
  readonly sections: ReadonlyMap<string, unknown>;
  /** The kinds of evidence that there are. */
  readonly kinds: readonly EvidenceKind[];
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
 * @param kinds The kinds of evidence that there are.
 * @throws {BootstrapError} `usage/document`, naming the path of the key that is wrong.
 */
export function readPolicy(text: string, what: string, kinds: readonly EvidenceKind[] = KINDS): Policy {
  const document = readDocument(text, policySchema(kinds), what);
  const { variant, sections, collateral, bannedIdentities, roles, names } = document;
  const named = (list: readonly string[]) => list.map((name) => kindNamed(kinds, name));
  return {
    required: { node: named(variant.node), init: named(variant.init) },
    ...{ sections, kinds, collateral },
    bannedIdentities: new Set(bannedIdentities),
    controlPlanes: new Set(roles.controlPlanes),
    names: { default: names.default, byIdentity: new Map(Object.entries(names.byIdentity)) },
    maximumClockSkewMs: document.maximumClockSkewSeconds * 1000,
  };
}

/** What a policy wants of a kind; none where it says nothing of it. */
export function sectionOf<Section>(
  { kinds, sections }: Pick<Policy, "kinds" | "sections">,
  kind: EvidenceKind<Section>,
): Section | undefined {
  const known = kindNamed(kinds, kind.name);
  // What is in the map was made by the schema of the kind of that name.
  if (known.section?.schema === kind.section?.schema) return sections.get(kind.name) as Section | undefined;
  throw new BootstrapError("internal/policy", `The policy was read with another kind called ${kind.name}`);
}

/** Whether a policy believes everybody: development only. */
export function isInsecure({ required }: Pick<Policy, "required">): boolean {
  return required.node.some((kind) => kind.isInsecure === true);
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
