/**
 * Applies manifests to a cluster, and waits for what they start.
 *
 * @module
 */
import { BootstrapError, hasCode, optionsOf } from "../platform/errors.ts";
import { present } from "../platform/present.ts";
import { ApiResources } from "./_api_resources.ts";
import { pollUntil, type Wait } from "./_poll.ts";
import { definitionSchema, isWorkload, missingOf, notEstablished, workloadSchema } from "./_workloads.ts";
import type { FieldManager, KubernetesApi } from "./api.ts";
import type { ManifestObject } from "./manifest.ts";
import { manifestError, objectText } from "./manifest.ts";

/** The part of the API that manifests need. */
export type ManifestApi = Pick<KubernetesApi, "find" | "apply">;

/** What is done with objects, for the progress. */
export interface AppliedObject {
  readonly object: ManifestObject;
  /** From 1. */
  readonly number: number;
  readonly of: number;
}

/** The progress of {@linkcode applyManifest}. */
export interface ApplyProgress {
  /** Called after each object. */
  onApplied?(applied: AppliedObject): void;
}

/** The owner of what a network's manifest sets. It takes no field from another owner, such as kubectl. */
const NETWORK_FIELDS: FieldManager = { name: "bootstrapper-network", force: false };

const FIRST_POLL_MS = 250;
const LONGEST_POLL_MS = 3_000;
const POLL = { firstMs: FIRST_POLL_MS, longestMs: LONGEST_POLL_MS } as const;
const AGAIN =
  "Correct it, and run `bootstrapper network apply` with the same files: objects that are there stay as they are";
const LOOK = "Look at it with `kubectl describe`, then run `bootstrapper network apply` with the same files again";

/**
 * Applies objects in their order, after namespaces and definitions of kinds, whose objects have to wait for them. Each may
 * be applied again at any time: the same object changes nothing. Errors that time may mend are tried again until the
 * deadline.
 *
 * @param wait Its deadline is that of all objects together.
 * @throws {BootstrapError} Before anything is applied: `usage/manifest` for a kind that the cluster does not have. Then,
 *   naming the object: `conflict/field-manager`, `timeout/network`, and those of `KubernetesApi`.
 */
export async function applyManifest(
  api: ManifestApi,
  objects: readonly ManifestObject[],
  wait: Wait,
  progress: ApplyProgress = {},
): Promise<void> {
  const resources = new ApiResources(api);
  const left = remaining(wait);
  const defined = new Set(objects.filter(isDefinition).map(definedKind));
  for (const object of objects) {
    if (!defined.has(kindOf(object))) await pathOf(resources, object, left(), false);
  }
  const first = objects.filter((object) => isDefinition(object) || isNamespace(object));
  const others = objects.filter((object) => !first.includes(object));
  let number = 0;
  const apply = async (object: ManifestObject) => {
    const path = await pathOf(resources, object, left(), defined.has(kindOf(object)));
    await applyOne(api, path, object, left());
    progress.onApplied?.({ object, number: ++number, of: objects.length });
  };
  for (const object of first) await apply(object);
  for (const object of first.filter(isDefinition)) await untilEstablished(api, resources, object, left());
  for (const object of others) await apply(object);
}

/**
 * Waits until the DaemonSets and Deployments among the objects are ready.
 *
 * @throws {BootstrapError} `timeout/network`, which names the first that is not ready, and what it lacks.
 */
export async function waitForWorkloads(
  api: ManifestApi,
  objects: readonly ManifestObject[],
  wait: Wait,
): Promise<void> {
  const resources = new ApiResources(api);
  const left = remaining(wait);
  for (const object of objects.filter(isWorkload)) {
    const path = await pathOf(resources, object, left(), false);
    let missing = "it was not seen";
    await pollUntil(async () => {
      const found = await api.find(path, workloadSchema);
      const lacks = found === undefined ? "it is gone" : missingOf(object.kind, found);
      missing = lacks ?? "";
      return lacks === undefined || undefined;
    }, { ...left(), ...POLL, code: "timeout/network", failure: `${objectText(object)} was not ready`, next: LOOK })
      .catch(
        (error: unknown) => {
          throw hasCode(error, "timeout/network") ? copied(error, `${error.message}: ${missing}`) : error;
        },
      );
  }
}

/** Returns the rest of a wait at each call. */
function remaining(wait: Wait): () => Wait {
  const endMs = wait.clock.monotonicMs() + wait.deadlineMs;
  return () => ({ ...wait, deadlineMs: Math.max(0, endMs - wait.clock.monotonicMs()) });
}

/** Returns the path of an object. A kind that a definition has just added may take a moment to appear. */
async function pathOf(resources: ApiResources, object: ManifestObject, wait: Wait, isNew: boolean): Promise<string> {
  const { apiVersion, kind, place } = object;
  const found = await attempt(object, wait, async () => {
    const path = await resources.pathOf(object);
    return path ?? (isNew ? undefined : "");
  });
  if (found !== "") return found;
  throw manifestError(
    place,
    `the cluster has no kind ${kind} of ${apiVersion}`,
    "Add the CustomResourceDefinition to the files, or apply this file later with `bootstrapper network apply`",
  );
}

async function applyOne(api: ManifestApi, path: string, object: ManifestObject, wait: Wait): Promise<void> {
  const { namespace } = object;
  const isNamespaced = path.includes("/namespaces/") && object.kind !== "Namespace";
  const { metadata } = object.body;
  // The API server wants the path's namespace in the object too.
  const body = isNamespaced && namespace === undefined
    ? { ...object.body, metadata: { ...Object(metadata), namespace: "default" } }
    : object.body;
  await attempt(object, wait, async () => {
    await api.apply(path, body, NETWORK_FIELDS);
    return true;
  });
}

async function untilEstablished(
  api: ManifestApi,
  resources: ApiResources,
  object: ManifestObject,
  wait: Wait,
): Promise<void> {
  const path = await pathOf(resources, object, wait, false);
  let reason = "it was not seen";
  await attempt(object, wait, async () => {
    const found = await api.find(path, definitionSchema);
    const lacks = found === undefined ? "it is gone" : notEstablished(found);
    reason = lacks ?? "";
    return lacks === undefined || undefined;
  }, () => reason);
}

/** Does a piece of work for an object until it returns a value. Errors name the object. */
async function attempt<T>(
  object: ManifestObject,
  wait: Wait,
  work: () => Promise<T | undefined>,
  reason?: () => string,
): Promise<T> {
  try {
    return await pollUntil(() => withoutContent(object, work), {
      ...wait,
      ...POLL,
      code: "timeout/network",
      failure: `${objectText(object)} was not applied`,
    });
  } catch (error) {
    if (!(error instanceof BootstrapError)) throw error;
    throw named(object, error, reason?.());
  }
}

/** Does a piece of work. The error for a Secret quotes no answer, which may have the Secret's content. */
async function withoutContent<T>(object: ManifestObject, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (object.kind !== "Secret" || !(error instanceof BootstrapError)) throw error;
    const { code, retriable } = error;
    const what = `Cannot apply ${objectText(object)} (${object.place}): it was refused`;
    throw new BootstrapError(code, what, { details: { manifest: object.place }, next: AGAIN, retriable });
  }
}

function named(object: ManifestObject, error: BootstrapError, reason: string | undefined): BootstrapError {
  const { place } = object;
  if (object.kind === "Secret" && error.code !== "timeout/network") return error;
  const details = { manifest: place, ...present("reason", reason) };
  const what = `Cannot apply ${objectText(object)} (${place}): ${error.message}`;
  const options = { ...optionsOf(error), details, cause: error };
  switch (error.code) {
    case "timeout/network":
      return copied(error, reason === undefined || reason === "" ? error.message : `${error.message}: ${reason}`, LOOK);
    case "conflict/changed":
      return new BootstrapError("conflict/field-manager", what, { details, cause: error });
    case "malformed/kubernetes-api":
      return new BootstrapError("usage/manifest", what, { ...options, next: AGAIN });
    default:
      return new BootstrapError(error.code, what, { ...options, next: AGAIN });
  }
}

function copied(error: BootstrapError, message: string, next?: string): BootstrapError {
  return new BootstrapError(error.code, message, { ...optionsOf(error), ...present("next", next) });
}

function isNamespace({ apiVersion, kind }: ManifestObject): boolean {
  return apiVersion === "v1" && kind === "Namespace";
}

function isDefinition({ apiVersion, kind }: ManifestObject): boolean {
  return apiVersion.startsWith("apiextensions.k8s.io/") && kind === "CustomResourceDefinition";
}

/** The group and the kind of an object. */
function kindOf({ apiVersion, kind }: ManifestObject): string {
  return `${apiVersion.includes("/") ? apiVersion.split("/")[0] : ""}/${kind}`;
}

/** The group and the kind that a definition adds. */
function definedKind({ body }: ManifestObject): string {
  const spec = Object(body.spec);
  return `${String(spec.group)}/${String(Object(spec.names).kind)}`;
}
