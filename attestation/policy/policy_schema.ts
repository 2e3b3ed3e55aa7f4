/**
 * The form of a policy document.
 *
 * @module
 */
import * as v from "valibot";
import type { DocumentSchema } from "../../platform/document.ts";
import type { EvidenceKind } from "../kind.ts";
import { exclusivePair, insecureNames, kindNamed } from "../kind.ts";
import { digestHex, type Part, sectionOf } from "./_policy_parts.ts";

/** The kinds of peers that a policy speaks of: a node that asks for a ticket, and one that an operator initialises. */
export const PEER_KINDS = ["node", "init"] as const;
/** A kind of peer. */
export type PeerKind = typeof PEER_KINDS[number];

/** A policy document that has its form. */
export interface PolicyDocument {
  /** The version of the form. */
  readonly version: 1;
  /** The kinds of evidence that each kind of peer must show, all of them; the first gives the identity. */
  readonly variant: Readonly<Record<PeerKind, readonly string[]>>;
  /** What is wanted of each kind that has a section, by its name: exactly of those that are wanted of somebody. */
  readonly sections: ReadonlyMap<string, unknown>;
  /** Where to look for certificates and revocation lists that do not come with the evidence. */
  readonly collateral: CollateralPlaces;
  /** Identities that are let in under no circumstances. */
  readonly bannedIdentities: readonly string[];
  /** Who may be more than a worker. */
  readonly roles: { readonly controlPlanes: readonly string[] };
  /** Patterns of node names: of an identity, or of whoever is not named. */
  readonly names: {
    readonly default: readonly string[];
    readonly byIdentity: Readonly<Record<string, readonly string[]>>;
  };
  /** How far a peer's clock may be off. */
  readonly maximumClockSkewSeconds: number;
}

/** Places of collateral; the folder is looked into first. */
export interface CollateralPlaces {
  /** A folder, absolute. */
  readonly folder?: string | undefined;
  /** The address of a cache, `https:`. */
  readonly cache?: string | undefined;
}

const DEFAULT_CLOCK_SKEW_SECONDS = 300;
const MAXIMUM_CLOCK_SKEW_SECONDS = 3600;

/** As a key: two spellings of one digest would be one entry, of which the last would count. */
const lowerCaseDigest = v.pipe(
  v.string(),
  v.regex(/^[0-9a-f]{64}$/, "must be a SHA-256 digest, 64 hexadecimal digits in lower case"),
);

/** Kinds of evidence by their names: of all peers, or of each kind of peer. */
function variantPart(kinds: readonly EvidenceKind[]): Part<PolicyDocument["variant"]> {
  const names = kinds.map(({ name }) => name);
  const insecure = insecureNames(kinds);
  const isInsecure = (list: readonly string[]) => list.some((name) => insecure.includes(name));
  const name = v.picklist(names);
  const none = insecure.join(" or ");
  const list = v.pipe(
    v.union([name, v.array(name)]),
    v.transform((value): readonly string[] => typeof value === "string" ? [value] : value),
    v.minLength(1, "must not be empty"),
    v.check((list) => new Set(list).size === list.length, "must have each kind once"),
    v.check((list) => !isInsecure(list) || list.length === 1, `must have ${none} alone, as it proves nothing`),
    v.check(
      (list) => exclusivePairOf(kinds, list) === undefined,
      ({ input }) => {
        const pair = exclusivePairOf(kinds, input) ?? [];
        return `must not have both ${pair.map(({ name }) => name).join(" and ")}, which no machine has`;
      },
    ),
  );
  const message = `must be ${names.join(" or ")}, a list of several, or one of these for node and one for init`;
  return v.pipe(
    v.union([list, v.strictObject({ node: list, init: list })], message),
    v.transform((value) => "node" in value ? value : { node: value, init: value }),
    v.check(
      ({ node, init }) => isInsecure(node) === isInsecure(init),
      `must have ${none} for both kinds of peers, or for neither`,
    ),
  ) as Part<PolicyDocument["variant"]>;
}

function exclusivePairOf(kinds: readonly EvidenceKind[], names: readonly string[]) {
  return exclusivePair(names.map((name) => kindNamed(kinds, name)));
}

const absolutePath = v.pipe(v.string(), v.regex(/^\/[^\0]*$/, "must be an absolute path"));
const httpsUrl = v.pipe(
  v.string(),
  v.check((text) => {
    const url = URL.parse(text);
    return url?.protocol === "https:" && url.username === "" && url.password === "" && !/[?#]/.test(text) &&
      url.search === "" &&
      url.hash === "";
  }, "must be an address that begins with https:, without user, query and fragment"),
);

/** A label of DNS, in which `*` stands for any characters and `?` for one. */
const namePattern = v.pipe(
  v.string(),
  v.regex(/^[a-z0-9*?-]{1,63}$/, "must be a node name, in which * stands for any characters and ? for one"),
);
const namePatterns = v.pipe(v.array(namePattern), v.minLength(1, "must not be empty"));

const rest = {
  collateral: v.optional(
    v.strictObject({ folder: v.exactOptional(absolutePath), cache: v.exactOptional(httpsUrl) }),
    {},
  ),
  bannedIdentities: v.optional(v.array(digestHex), []),
  roles: v.optional(v.strictObject({ controlPlanes: v.optional(v.array(digestHex), []) }), {}),
  names: v.optional(
    v.strictObject({
      default: v.optional(namePatterns, ["*"]),
      byIdentity: v.optional(v.record(lowerCaseDigest, namePatterns), {}),
    }),
    {},
  ),
  maximumClockSkewSeconds: v.optional(
    v.pipe(
      v.number(),
      v.integer("must be whole"),
      v.minValue(1, "must be 1 or more"),
      v.maxValue(MAXIMUM_CLOCK_SKEW_SECONDS),
    ),
    DEFAULT_CLOCK_SKEW_SECONDS,
  ),
};

/**
 * The schema of a policy document, combinations that make no sense included.
 *
 * @param kinds The kinds of evidence that there are.
 */
export function policySchema(kinds: readonly EvidenceKind[]): DocumentSchema<PolicyDocument> {
  const sections = kinds.flatMap(({ name, section }) =>
    section === undefined ? [] : [[name, v.optional(sectionOf(section.schema))] as const]
  );
  const entries = { version: v.literal(1), variant: variantPart(kinds), ...Object.fromEntries(sections), ...rest };
  return v.pipe(
    v.strictObject(entries),
    v.transform((document) => {
      const found = sections.flatMap(([name]) => {
        const section: unknown = Reflect.get(document, name);
        return section === undefined ? [] : [[name, section] as const];
      });
      return { ...document, sections: new Map<string, unknown>(found) };
    }),
    v.rawCheck(({ dataset, addIssue }) => {
      if (!dataset.typed) return;
      const { value } = dataset;
      for (const [key, message] of problemsOf(value, kinds)) {
        const path = { type: "object", origin: "value", input: value, key, value: Reflect.get(value, key) } as const;
        addIssue({ message, path: [path] });
      }
    }),
  ) as v.GenericSchema<unknown, PolicyDocument>;
}

/** What makes no sense in a document that has its form: keys, and why. */
function problemsOf(
  { variant, sections, roles, bannedIdentities }: PolicyDocument,
  kinds: readonly EvidenceKind[],
): readonly (readonly [key: string, message: string])[] {
  const wanted = [...variant.node, ...variant.init];
  const { controlPlanes } = roles;
  // A section that nobody reads would be believed to protect.
  const misplaced = kinds.filter(({ name, section }) =>
    section !== undefined && wanted.includes(name) !== sections.has(name)
  ).map(({ name }) => [name, `is for the variant ${name}, which needs it, and for no other`] as const);
  const [first] = variant.node.map((name) => kindNamed(kinds, name));
  const insecure = first?.isInsecure === true && controlPlanes.length > 0;
  const section = first === undefined ? undefined : sections.get(first.name);
  const isStranger = (identity: string) =>
    section !== undefined && first?.section?.trusts?.(section, identity) === false;
  return [
    ...misplaced,
    ...(insecure
      ? [["roles", `must have no controlPlanes under the variant ${first.name}, which proves nothing`] as const]
      : []),
    ...(controlPlanes.some(isStranger)
      ? [["roles", `names a control plane that ${first?.name}.trust does not trust`] as const]
      : []),
    ...(controlPlanes.some((identity) => bannedIdentities.includes(identity))
      ? [["roles", "names a control plane that is banned"] as const]
      : []),
  ];
}
