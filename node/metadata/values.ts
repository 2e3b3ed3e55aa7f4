/**
 * What a machine's metadata may say of its node, and how it is read: as the configuration's own values are.
 *
 * Metadata is a convenience and never trusted: nothing of it enters the trust part.
 *
 * @module
 */
import type { NodeRole } from "../../kubernetes/node_role.ts";
import { NODE_ROLES } from "../../kubernetes/node_role.ts";
import { familyParts, familyPartsProblem } from "../../platform/dual_stack.ts";
import type { EndpointSource } from "../../platform/endpoint_source.ts";
import { isFollowed, parseEndpointSource, sourceText } from "../../platform/endpoint_source.ts";
import { BootstrapError } from "../../platform/errors.ts";
import { addressBytes, familyOf, nodeAddressProblem, unreachableKind } from "../../platform/ip_address.ts";
import { nodeNameProblem, reservedNameProblem, shown } from "../../platform/label.ts";
import { present } from "../../platform/present.ts";

/** Where metadata comes from. */
export const METADATA_SOURCES = ["nocloud", "ec2", "openstack"] as const;
/** A source of metadata. */
export type MetadataSource = typeof METADATA_SOURCES[number];

/** What may be taken from metadata. */
export const METADATA_FIELDS = ["name", "address", "role", "endpoints"] as const;
/** A value that may be taken from metadata. */
export type MetadataField = typeof METADATA_FIELDS[number];

/** What a node's configuration takes from metadata. */
export interface MetadataConfiguration {
  readonly source: MetadataSource;
  /** At least one, each once. */
  readonly use: readonly MetadataField[];
}

/** Values as their source has them, without spaces around them. */
export type MetadataTexts = { readonly [F in MetadataField]?: string };

/** Values that were read. */
export interface MetadataValues {
  readonly name?: string;
  readonly address?: string;
  /** The address of the other family. */
  readonly secondAddress?: string;
  readonly role?: NodeRole;
  readonly endpoints?: readonly EndpointSource[];
}

/** The longest value, in UTF-16 code units: 64 endpoints. */
export const LONGEST_METADATA_VALUE = 8192;
const MAXIMUM_ENDPOINTS = 64;

/** Says why a value cannot be used, as a clause; `undefined` if it can. */
export function metadataProblem(field: MetadataField, text: string): string | undefined {
  if (text.length > LONGEST_METADATA_VALUE) return `it is longer than ${LONGEST_METADATA_VALUE} characters`;
  switch (field) {
    case "name":
      return nodeNameProblem(text) ?? reservedNameProblem(text);
    case "address":
      return familyPartsProblem(text, nodeAddressProblem, (part) => familyOf(addressBytes(part) ?? new Uint8Array()));
    case "role":
      return roleIn(text) === undefined
        ? `it must be ${NODE_ROLES.join(" or ")}: current value is ${shown(text)}`
        : undefined;
    case "endpoints":
      return endpointsProblem(text);
  }
}

function roleIn(text: string): NodeRole | undefined {
  return NODE_ROLES.find((role) => role === text);
}

/** The endpoints of a text, with commas or spaces between them. */
function endpointTexts(text: string): readonly string[] {
  return text.split(/[\s,]+/).filter((one) => one !== "");
}

function endpointsProblem(text: string): string | undefined {
  const texts = endpointTexts(text);
  if (texts.length === 0) return "it names no endpoint";
  if (texts.length > MAXIMUM_ENDPOINTS) return `at most ${MAXIMUM_ENDPOINTS} endpoints are allowed`;
  const seen = new Set<string>();
  for (const one of texts) {
    const source = parseEndpointSource(one);
    if (typeof source === "string") return source;
    const bytes = isFollowed(source) ? undefined : addressBytes(source.host);
    const kind = bytes && unreachableKind(bytes);
    if (kind !== undefined && kind !== "loopback") {
      return `no join service can be reached at ${shown(one)}: it is ${kind}`;
    }
    if (seen.has(sourceText(source))) return `it names ${shown(one)} twice`;
    seen.add(sourceText(source));
  }
  return undefined;
}

/**
 * Reads what the configuration takes from metadata.
 *
 * @param from Where the values come from, for errors.
 * @throws {BootstrapError} `unavailable/metadata` if one is missing; `malformed/metadata` if one cannot be used.
 */
export function readMetadataValues(
  { use }: Pick<MetadataConfiguration, "use">,
  texts: MetadataTexts,
  from: string,
): MetadataValues {
  const used = (field: MetadataField) => {
    const text = use.includes(field) ? texts[field] : undefined;
    return field === "name" ? text?.toLowerCase() : text;
  };
  for (const field of use) {
    const text = used(field);
    if (text === undefined) throw missing(field, from);
    const problem = metadataProblem(field, text);
    if (problem !== undefined) throw unusable(field, problem, from);
  }
  const [address, secondAddress] = familyParts(used("address") ?? "");
  return {
    ...present("name", used("name")),
    ...(address === "" ? {} : present("address", address)),
    ...present("secondAddress", secondAddress),
    ...present("role", roleIn(used("role") ?? "")),
    ...present("endpoints", endpointsIn(used("endpoints"))),
  };
}

function endpointsIn(text: string | undefined): readonly EndpointSource[] | undefined {
  if (text === undefined) return undefined;
  return endpointTexts(text).map((one) => parseEndpointSource(one)).filter((source) => typeof source !== "string");
}

function missing(field: MetadataField, from: string): BootstrapError {
  return new BootstrapError("unavailable/metadata", `The machine's metadata has no ${field}: ${from}`, {
    next: `Give the machine the value there, or leave ${field} out of metadata.use in the node's configuration`,
    details: { field },
  });
}

function unusable(field: MetadataField, problem: string, from: string): BootstrapError {
  return new BootstrapError(
    "malformed/metadata",
    `Cannot use the ${field} of the machine's metadata: ${problem} (${from})`,
    {
      next: `Correct the value there, or leave ${field} out of metadata.use in the node's configuration`,
      details: { field },
    },
  );
}
