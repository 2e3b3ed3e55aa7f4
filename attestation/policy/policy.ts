/**
 * The policy: it determines which machines are admitted, and in which role.
 *
 * @module
 */
import type { NodeRole } from "../../kubernetes/node_role.ts";
import { refusal } from "../../protocol/refusal.ts";
import { readDocument } from "../../platform/document.ts";
import { BootstrapError } from "../../platform/errors.ts";
import type { InsecureSwitch } from "../../protocol/transcript.ts";
import type { EvidenceKind } from "../kind.ts";
import { kindNamed } from "../kind.ts";
import { KINDS } from "../kinds.ts";
import type { CollateralPlaces, PeerKind } from "./policy_schema.ts";
import { policySchema } from "./policy_schema.ts";

export type { CollateralPlaces, PeerKind } from "./policy_schema.ts";

/** The rules by which a verifier admits machines and assigns roles. */
export interface Policy {
  /** The kinds of evidence that each kind of peer must show. All are required; the first determines the identity. */
  readonly required: Readonly<Record<PeerKind, readonly EvidenceKind[]>>;
  /** The sections on the kinds of evidence, by the kind's name; see {@linkcode sectionOf}. */
  readonly sections: ReadonlyMap<string, unknown>;
  /** All kinds of evidence. */
  readonly kinds: readonly EvidenceKind[];
  /** The places with documents that vendors sign and that the evidence does not contain. */
  readonly collateral: CollateralPlaces;
  /** The switches that weaken a check and that a node's configuration may have on. */
  readonly allowedSwitches: readonly InsecureSwitch[];
  /**
   * Identities that are never admitted, lower-case hexadecimal: those that the policy bans, and those that it lists as
   * removed. If one is a node, its certificates are cut off.
   */
  readonly bannedIdentities: ReadonlySet<string>;
  /** Identities that may be control planes, lower-case hexadecimal. */
  readonly controlPlanes: ReadonlySet<string>;
  /** Patterns of the node names that an identity may have; see {@linkcode checkNodeName}. */
  readonly names: { readonly default: readonly string[]; readonly byIdentity: ReadonlyMap<string, readonly string[]> };
  /** The largest accepted difference from a peer's clock. */
  readonly maximumClockSkewMs: number;
}

/**
 * Reads a policy document, such as `deploy/policy.example.yaml`.
 *
 * @param text YAML.
 * @param what The document's name in errors: a path, or "the policy".
 * @param kinds All kinds of evidence.
 * @throws {BootstrapError} `usage/document`, naming the path of the wrong key.
 */
export function readPolicy(text: string, what: string, kinds: readonly EvidenceKind[] = KINDS): Policy {
  const document = readDocument(text, policySchema(kinds), what, { kind: "policy" });
  const { variant, sections, collateral, bannedIdentities, removed, roles, names } = document;
  const { allowUnmeasuredImage } = document;
  const named = (list: readonly string[]) => list.map((name) => kindNamed(kinds, name));
  return {
    required: { node: named(variant.node), init: named(variant.init) },
    ...{ sections, kinds, collateral },
    allowedSwitches: allowUnmeasuredImage ? ["allowUnmeasuredImage"] : [],
    bannedIdentities: new Set([...bannedIdentities, ...removed]),
    controlPlanes: new Set(roles.controlPlanes),
    names: { default: names.default, byIdentity: new Map(Object.entries(names.byIdentity)) },
    maximumClockSkewMs: document.maximumClockSkewSeconds * 1000,
  };
}

/** Returns a policy's section on a kind; `undefined` if the policy has none. */
export function sectionOf<Section>(
  { kinds, sections }: Pick<Policy, "kinds" | "sections">,
  kind: EvidenceKind<Section>,
): Section | undefined {
  const known = kindNamed(kinds, kind.name);
  // The schema of the kind produced the value in the map, so the cast is safe.
  if (known.section?.schema === kind.section?.schema) return sections.get(kind.name) as Section | undefined;
  throw new BootstrapError("internal/policy", `The policy was read with another kind called ${kind.name}`);
}

/** Whether a policy admits every machine without proof; for development only. */
export function isInsecure({ required }: Pick<Policy, "required">): boolean {
  return required.node.some((kind) => kind.isInsecure === true);
}

/**
 * Whether a policy pins the machines that may be control planes: it lists them, or a section on a kind that every machine
 * must show admits only machines that it pins.
 */
export function pinsControlPlanes(policy: Policy): boolean {
  return policy.controlPlanes.size > 0 || policy.required.node.some((kind) => {
    const section = sectionOf(policy, kind);
    return section !== undefined && kind.section?.pins?.(section) === true;
  });
}

/** Returns the role that a policy gives to an identity. Identities that the policy does not list are workers. */
export function roleOf(policy: Policy, identity: string): NodeRole {
  return policy.controlPlanes.has(identity) ? "control-plane" : "worker";
}

/** What a policy says of one identity by name. */
export type Standing = "banned" | "named";

/**
 * Returns whether a policy bans an identity, or names it: as trusted, as a control plane, or as one with node names of
 * its own. `undefined` if it does neither.
 *
 * @param identity Lower-case hexadecimal.
 */
export function standingOf(policy: Policy, identity: string): Standing | undefined {
  const { bannedIdentities, controlPlanes, names, required } = policy;
  if (bannedIdentities.has(identity)) return "banned";
  const isListed = required.node.some((kind) => {
    const section = sectionOf(policy, kind);
    return section !== undefined && kind.section?.lists?.(section, identity) === true;
  });
  return isListed || controlPlanes.has(identity) || names.byIdentity.has(identity) ? "named" : undefined;
}

/**
 * Returns the names of those registers on a node's record whose values the policy does not allow: evidence that still
 * shows them is refused. What else the policy wants of evidence is not looked at.
 *
 * @param registers Lower-case hexadecimal, by name, as a node's record has them.
 */
export function refusedRegisters(policy: Policy, registers: Readonly<Record<string, string>>): readonly string[] {
  return imageRegisters(policy).filter(([name, values]) => {
    const shown = registers[name];
    return shown !== undefined && !values.includes(shown);
  }).map(([name]) => name);
}

/** Returns the registers that tell images apart and whose values a policy names, with these values. */
export function imageRegisters(policy: Policy): readonly (readonly [name: string, values: readonly string[]])[] {
  return policy.required.node.flatMap((kind) => {
    const section = sectionOf(policy, kind);
    return section === undefined ? [] : [...kind.section?.imageRegisters?.(section) ?? []];
  });
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

/** Matches by dynamic programming. A regular expression with many stars could take exponential time. */
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
