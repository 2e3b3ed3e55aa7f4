/**
 * The form of a policy document.
 *
 * @module
 */
import * as v from "valibot";
import type { DocumentSchema } from "../../platform/document.ts";
import type { EvidenceKind } from "../kind.ts";
import { exclusivePair, insecureNames, kindNamed } from "../kind.ts";
import { namePatternProblem } from "./name_pattern.ts";
import { digestHex, type Part, sectionOf } from "./_policy_parts.ts";

/** The kinds of peers in a policy: a node that asks for a ticket, and a node that an operator initialises. */
export const PEER_KINDS = ["node", "init"] as const;
/** One of {@linkcode PEER_KINDS}. */
export type PeerKind = typeof PEER_KINDS[number];

/** A well-formed policy document. */
export interface PolicyDocument {
  /** The version of the document's format. */
  readonly version: 1;
  /** The kinds of evidence that each kind of peer must show. All are required; the first determines the identity. */
  readonly variant: Readonly<Record<PeerKind, readonly string[]>>;
  /** The sections by the names of their kinds. Exactly the required kinds have one. */
  readonly sections: ReadonlyMap<string, unknown>;
  /** The places with certificates and revocation lists that do not come with the evidence. */
  readonly collateral: CollateralPlaces;
  /** Whether machines may be configured to bootstrap although their image is not fully measured. */
  readonly allowUnmeasuredImage: boolean;
  /** Identities that are never admitted. */
  readonly bannedIdentities: readonly string[];
  readonly removed: readonly string[];
  /** The identities that may be more than a worker. */
  readonly roles: { readonly controlPlanes: readonly string[] };
  /** Patterns of node names: those of single identities, and those of all others. */
  readonly names: {
    readonly default: readonly string[];
    readonly byIdentity: Readonly<Record<string, readonly string[]>>;
  };
  /** The largest accepted difference from a peer's clock. */
  readonly maximumClockSkewSeconds: number;
}

/** The places of collateral. The folder is searched first. */
export interface CollateralPlaces {
  /** The absolute path of a folder. */
  readonly folder?: string | undefined;
  /** The `https:` address of a cache. */
  readonly cache?: string | undefined;
}

const DEFAULT_CLOCK_SKEW_SECONDS = 300;
const MAXIMUM_CLOCK_SKEW_SECONDS = 3600;

/**
 * A digest as a key of a map. Upper case is refused: two spellings of one digest would become one entry, and only the
 * last would count.
 */
const lowerCaseDigest = v.pipe(
  v.string(),
  v.regex(/^[0-9a-f]{64}$/, "must be a SHA-256 digest, 64 hexadecimal digits in lower case"),
);

/** Returns the schema of `variant`: the names of kinds of evidence for all peers, or for each kind of peer. */
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

/** A pattern of a node's name, in which `*` stands for any characters and `?` for one. */
const namePattern = v.pipe(
  v.string(),
  v.check(
    (text) => namePatternProblem(text) === undefined,
    "must be a node name, in which * stands for any characters and ? for one",
  ),
);
const namePatterns = v.pipe(v.array(namePattern), v.minLength(1, "must not be empty"));

const rest = {
  collateral: v.optional(
    v.strictObject({ folder: v.exactOptional(absolutePath), cache: v.exactOptional(httpsUrl) }),
    {},
  ),
  allowUnmeasuredImage: v.optional(v.boolean(), false),
  bannedIdentities: v.optional(v.array(digestHex), []),
  removed: v.optional(v.array(digestHex), []),
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
 * Returns the schema of a policy document. It also refuses invalid combinations of keys.
 *
 * @param kinds All kinds of evidence.
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

/** Returns the invalid combinations in a well-formed document: the keys, and the reasons. */
function problemsOf(
  { variant, sections, roles, bannedIdentities, removed }: PolicyDocument,
  kinds: readonly EvidenceKind[],
): readonly (readonly [key: string, message: string])[] {
  const wanted = [...variant.node, ...variant.init];
  const { controlPlanes } = roles;
  // An unused section is refused, because its author would expect it to protect the cluster.
  const misplaced = kinds.filter(({ name, section }) =>
    section !== undefined && wanted.includes(name) !== sections.has(name)
  ).map(({ name }) => [name, `is required for the variant ${name}, and not allowed for others`] as const);
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
    ...(controlPlanes.some((identity) => [...bannedIdentities, ...removed].includes(identity))
      ? [["roles", "names a control plane that is banned or removed"] as const]
      : []),
  ];
}
