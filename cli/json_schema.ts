/**
 * JSON Schemas of the documents that people write, for editors. They are made from the schemas with which the readers check
 * documents. What only a reader can tell, such as a network that is too small, they do not refuse.
 *
 * @module
 */
import { toJsonSchema } from "@valibot/to-json-schema";
import type { GenericSchema } from "valibot";
import type { EvidenceKind } from "../attestation/kind.ts";
import { policySchema } from "../attestation/policy/policy_schema.ts";
import { settingsSchema } from "../kubernetes/settings.ts";
import { configurationSchema } from "../node/configuration_schema.ts";
import type { DocumentKind } from "../platform/document_kinds.ts";
import { BootstrapError } from "../platform/errors.ts";
import type { KeyTexts } from "./json_schema_texts.ts";
import { CLUSTER_TEXTS, NODE_TEXTS, POLICY_TEXTS } from "./json_schema_texts.ts";

/** A JSON Schema of draft 7, which the language servers of YAML read. */
export interface JsonSchema {
  /** A keyword of the specification. */
  readonly [keyword: string]: unknown;
}

type Mutable = Record<string, unknown>;

interface Source {
  readonly title: string;
  readonly schema: (kinds: readonly EvidenceKind[]) => unknown;
  /** The texts of its keys, and those of the documents that stand in it. */
  readonly texts: readonly (readonly [prefix: string, texts: KeyTexts])[];
}

const SOURCES: Readonly<Record<DocumentKind, Source>> = {
  node: {
    title: "The configuration of a node (bootstrapper run)",
    schema: configurationSchema,
    texts: [["", NODE_TEXTS], ["trust.founding.policy.", POLICY_TEXTS], ["founding.cluster.", CLUSTER_TEXTS]],
  },
  cluster: {
    title: "The settings of a new cluster (bootstrapper init --cluster)",
    schema: () => settingsSchema,
    texts: [["", CLUSTER_TEXTS]],
  },
  policy: {
    title: "The policy of a cluster: which machines are admitted, and in which role",
    schema: policySchema,
    texts: [["", POLICY_TEXTS]],
  },
};

/** Returns the JSON Schema of a kind of document. */
export async function jsonSchemaOf(kind: DocumentKind, kinds: readonly EvidenceKind[]): Promise<JsonSchema> {
  const { title, schema, texts } = SOURCES[kind];
  const made: Mutable = { ...toJsonSchema(schema(kinds) as GenericSchema, OPTIONS) };
  for (const [prefix, keys] of texts) {
    const all = keys === POLICY_TEXTS ? { ...keys, ...await sectionTexts(kinds) } : keys;
    for (const [path, text] of Object.entries(all)) Object.assign(placeIn(made, `${prefix}${path}`), text);
  }
  return { $schema: made["$schema"], title, ...made };
}

/** The texts of a policy's sections, under the names of their kinds. */
async function sectionTexts(kinds: readonly EvidenceKind[]): Promise<KeyTexts> {
  const all = await Promise.all(
    kinds.map(async ({ name, section }) =>
      Object.entries(await section?.texts?.() ?? {}).map(([path, description]) =>
        [path === "" ? name : `${name}.${path}`, { description }] as const
      )
    ),
  );
  return Object.fromEntries(all.flat());
}

/** Checks by code have no form in a JSON Schema, and what is read is what stands before any transformation. */
const OPTIONS = { typeMode: "input", errorMode: "ignore", target: "draft-07" } as const;

/** The schema at a path: keys with dots, `[]` for the entries of a list, `{}` for the values of a map. */
function placeIn(schema: Mutable, path: string): Mutable {
  return path.replaceAll(/(?=\[\]|\{\})/g, ".").split(".").reduce((at, step) => {
    const next = step === "[]" ? at["items"] : step === "{}" ? at["additionalProperties"] : propertyOf(at, step);
    if (isMutable(next)) return next;
    throw new BootstrapError("internal/argument", `No schema has the key ${path}`);
  }, schema);
}

function propertyOf({ properties }: Mutable, key: string): unknown {
  return isMutable(properties) ? properties[key] : undefined;
}

function isMutable(value: unknown): value is Mutable {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Returns the JSON Schema as the text of a file. */
export async function jsonSchemaText(kind: DocumentKind, kinds: readonly EvidenceKind[]): Promise<string> {
  return `${JSON.stringify(await jsonSchemaOf(kind, kinds), null, 2)}\n`;
}
