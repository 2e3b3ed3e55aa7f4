/**
 * Reads manifests: files with Kubernetes objects that an operator gives to a cluster.
 *
 * @module
 */
import * as v from "valibot";
import { BootstrapError } from "../platform/errors.ts";
import { isLabel, shown } from "../platform/label.ts";
import { present } from "../platform/present.ts";
import { readYamlObjects } from "../platform/yaml.ts";

/** An object of a manifest. */
export interface ManifestObject {
  /** `v1`, or a group and a version: `apps/v1`. */
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
  /** Only if the manifest names one. */
  readonly namespace?: string;
  /** Where it is, for people: `kube-flannel.yml, line 12`. */
  readonly place: string;
  /** The whole object. A Secret's content is in it: it is sent to the API server, and printed nowhere. */
  readonly body: Readonly<Record<string, unknown>>;
}

/** The size of the largest manifest, in bytes. The largest that are in use, of all definitions of Calico, have half of it. */
export const MAXIMUM_MANIFEST_BYTES: number = 4 << 20;
/** The most objects of a manifest. */
const MOST_OBJECTS = 2_000;
/** The longest name of an object (`DNS1123SubdomainMaxLength` in apimachinery). */
const LONGEST_NAME = 253;

const API_VERSION = /^(?:[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?\/)?v[0-9][a-z0-9]{0,20}$/;
const KIND = /^[A-Z][A-Za-z0-9]{0,62}$/;

const objectSchema = v.looseObject({
  apiVersion: v.pipe(v.string(), v.regex(API_VERSION)),
  kind: v.pipe(v.string(), v.regex(KIND)),
});

const metadataSchema = v.looseObject({
  name: v.pipe(v.string(), v.maxLength(LONGEST_NAME), v.check(isSegment)),
  namespace: v.exactOptional(v.pipe(v.string(), v.check(isLabel))),
});

/** Whether a text can be one part of a path of the API (`IsValidPathSegmentName` in apimachinery). */
function isSegment(text: string): boolean {
  // deno-lint-ignore no-control-regex -- no name has control characters
  return text !== "" && text !== "." && text !== ".." && !/[/%\u0000-\u0020]/.test(text);
}

/**
 * Reads the objects of a manifest: YAML documents, or JSON, each of which is an object or a list of objects.
 *
 * @param what The manifest's name for errors: its path.
 * @returns At least one object, in the order of the text.
 * @throws {BootstrapError} `usage/manifest`, which names the line. It quotes nothing of an object but its kind and name.
 */
export function readManifest(text: string, what: string): readonly ManifestObject[] {
  let documents;
  try {
    documents = readYamlObjects(text);
  } catch (cause) {
    throw manifestError(what, yamlReason(cause));
  }
  const objects = documents.flatMap(({ value, line }) => objectsIn(value, `${what}, line ${line}`));
  if (objects.length === 0) throw manifestError(what, "it has no object");
  if (objects.length > MOST_OBJECTS) throw manifestError(what, `it has more than ${MOST_OBJECTS} objects`);
  return objects;
}

/**
 * Checks that no object is there twice: the later one would silently replace the earlier one.
 *
 * @throws {BootstrapError} `usage/manifest`.
 */
export function checkUnique(objects: readonly ManifestObject[]): void {
  const places = new Map<string, string>();
  for (const object of objects) {
    const group = object.apiVersion.includes("/") ? object.apiVersion.split("/")[0] : "";
    const key = [group, object.kind, object.namespace ?? "", object.name].join("\n");
    const earlier = places.get(key);
    if (earlier !== undefined) {
      throw manifestError(object.place, `${objectText(object)} is there twice, first at ${earlier}`);
    }
    places.set(key, object.place);
  }
}

/** An object's kind and name, for people. */
export function objectText({ kind, name, namespace }: Pick<ManifestObject, "kind" | "name" | "namespace">): string {
  return `${kind} ${namespace === undefined ? "" : `${namespace}/`}${name}`;
}

/** The error for a manifest that cannot be used. */
export function manifestError(place: string, reason: string, next?: string): BootstrapError {
  return new BootstrapError("usage/manifest", `Cannot use the manifest ${place}: ${reason}`, {
    details: { manifest: place },
    ...present("next", next),
  });
}

function objectsIn(value: unknown, place: string): readonly ManifestObject[] {
  const head = v.safeParse(objectSchema, value);
  if (!head.success) throw manifestError(place, headReason(head.issues[0]));
  const body = head.output;
  const { apiVersion, kind } = body;
  if (kind.endsWith("List") && Array.isArray(body.items)) {
    return body.items.flatMap((item: unknown, index) => objectsIn(item, `${place}, item ${index + 1}`));
  }
  const metadata = v.safeParse(metadataSchema, body.metadata);
  if (!metadata.success) throw manifestError(place, metadataReason(kind, body.metadata, metadata.issues[0]));
  const { name, namespace } = metadata.output;
  if (metadata.output.managedFields !== undefined) {
    throw manifestError(
      place,
      `the ${kind} ${shown(name)} has managedFields, as an exported object has: leave them out`,
    );
  }
  return [{ apiVersion, kind, name, ...present("namespace", namespace), place, body }];
}

function headReason(issue: v.BaseIssue<unknown>): string {
  const key = v.getDotPath(issue);
  if (key === null) return "the document is no Kubernetes object";
  const what = issue.input === undefined ? `"${key}" is missing` : `it has no usable "${key}"`;
  return `the document is no Kubernetes object: ${what}`;
}

/** Says what is wrong with an object's name. Other values of it are not shown. */
function metadataReason(kind: string, metadata: unknown, issue: v.BaseIssue<unknown>): string {
  const key = v.getDotPath(issue) ?? "metadata";
  if (key === "name" && typeof metadata === "object" && metadata !== null && "generateName" in metadata) {
    return `the ${kind} has generateName: give it a name, so that it is the same one when it is applied again`;
  }
  if (key === "metadata" || issue.input === undefined) {
    return `the ${kind} has no ${key === "metadata" ? "metadata" : `metadata.${key}`}`;
  }
  return `the ${kind} has an unusable metadata.${key}${
    typeof issue.input === "string" ? ` ${shown(issue.input)}` : ""
  }`;
}

/** The parser's reason, without what it quotes: the text may be a Secret's. */
function yamlReason(cause: unknown): string {
  if (cause instanceof RangeError) return "it is nested too deeply";
  const [message = ""] = (cause instanceof Error ? cause.message : String(cause)).split("\n");
  const [, place = ""] = /(,? at line \d+(?:, column \d+)?)$/.exec(message) ?? [];
  if (message.startsWith("anchors and aliases")) return message;
  if (message.startsWith("Map keys must be unique")) return `a key is there twice${place}`;
  if (/\{\{/.test(message)) return `a template was not filled in${place}`;
  return `it is not YAML${place.replace(/^,/, "")}`;
}
