import { BootstrapError, type ErrorCode } from "../../platform/errors.ts";
import type { ObjectApi } from "../_api_objects.ts";
import type { AnswerSchema, DeletePreconditions } from "../api.ts";

/** An object in memory. */
export interface MemoryObject {
  /** The metadata, as the API server keeps it. */
  readonly metadata: {
    readonly name: string;
    readonly uid: string;
    readonly resourceVersion: string;
    readonly labels: Readonly<Record<string, string>>;
  };
  /** Of ConfigMaps; empty in other objects. */
  readonly data: Readonly<Record<string, string>>;
  readonly spec?: Readonly<Record<string, unknown>>;
  readonly status?: Readonly<Record<string, unknown>>;
}

type Given = Partial<Omit<MemoryObject, "metadata">> & {
  readonly metadata: Partial<MemoryObject["metadata"]> & { readonly name: string };
};

/** The collection of the ConfigMaps of this project's namespace. */
export const CONFIG_MAPS = "/api/v1/namespaces/bootstrapper-system/configmaps";
/** The collection of the admission records. */
export const ADMISSIONS = "/apis/bootstrapper.dev/v1/nodeadmissions";

const STATUS = "/status";
/** The kinds that have a status of its own path: an update of the object leaves the status, and the reverse. */
const WITH_STATUS: readonly string[] = [ADMISSIONS];

/**
 * An API server in memory, for tests. It has versions, UIDs, labels, the status as a resource of its own, and the field
 * `spec.nodeName`, like the real one. It knows no schema.
 */
export class MemoryApi implements ObjectApi {
  /** The stored objects, by path. */
  readonly objects = new Map<string, MemoryObject>();
  /** Called with method and path before each change. A test may make a change itself, or throw. */
  onChange: (method: "create" | "replace" | "remove" | "apply", path: string) => void = () => {};
  /** Called with the path before an object is read. A test may make a change itself. */
  onRead: (path: string) => Promise<void> = () => Promise.resolve();
  #versions = 0;

  /** The names of the objects of a collection. */
  names(collection: string): string[] {
    return this.#in(collection).map(({ metadata }) => metadata.name);
  }

  /** Returns the object at a path. */
  async find<T>(path: string, schema: AnswerSchema<T>): Promise<T | undefined> {
    await this.onRead(path);
    const found = this.objects.get(path);
    return found && await checked(found, schema);
  }

  /** Returns the object at a path, or a list: all of it, or what a label or the field `spec.nodeName` selects. */
  async get<T>(path: string, schema: AnswerSchema<T>): Promise<T> {
    const object = this.objects.get(path);
    if (object !== undefined) return await checked(object, schema);
    const [collection = "", query = ""] = path.split("?");
    if (!collection.endsWith("s") || collection.split("/").length > 7) throw failure("precondition/not-found");
    const parameters = new URLSearchParams(query);
    const [label, value] = parameters.get("labelSelector")?.split("=") ?? [];
    const [field, wanted] = parameters.get("fieldSelector")?.split("=") ?? [];
    const items = this.#in(collection).filter(({ metadata, spec }) =>
      (label === undefined || metadata.labels[label] === value) &&
      (field === undefined || spec?.[field.replace("spec.", "")] === wanted)
    );
    return await checked({ metadata: {}, items }, schema);
  }

  /** Creates an object. */
  async create<T>(path: string, object: unknown, schema: AnswerSchema<T>): Promise<T> {
    this.onChange("create", path);
    const given = object as Given;
    const at = `${path}/${given.metadata.name}`;
    if (this.objects.has(at)) throw failure("conflict/already-exists");
    const { status: _, ...rest } = given;
    return await checked(this.#store(at, WITH_STATUS.includes(path) ? rest : given, crypto.randomUUID()), schema);
  }

  /** Replaces an object, or its status. */
  async replace<T>(path: string, object: unknown, schema: AnswerSchema<T>): Promise<T> {
    this.onChange("replace", path);
    const given = object as Given;
    const isStatus = path.endsWith(STATUS);
    const at = isStatus ? path.slice(0, -STATUS.length) : path;
    const current = this.objects.get(at);
    if (current === undefined) throw failure("precondition/not-found");
    const { uid, resourceVersion } = current.metadata;
    if (given.metadata.uid !== uid || given.metadata.resourceVersion !== resourceVersion) {
      throw failure("conflict/changed");
    }
    const { status, ...rest } = isStatus ? { ...current, status: given.status } : { ...given, status: current.status };
    return await checked(this.#store(at, status === undefined ? rest : { ...rest, status }, uid), schema);
  }

  /** Creates an object or makes its fields the given ones. */
  async apply(path: string, object: unknown): Promise<void> {
    await Promise.resolve();
    this.onChange("apply", path);
    const current = this.objects.get(path);
    this.#store(path, { ...current, ...(object as Given) }, current?.metadata.uid ?? crypto.randomUUID());
  }

  /** Deletes an object. */
  async remove(path: string, preconditions: DeletePreconditions = {}): Promise<boolean> {
    await Promise.resolve();
    this.onChange("remove", path);
    const current = this.objects.get(path);
    if (current === undefined) return false;
    const { uid, resourceVersion } = current.metadata;
    const isOther = (preconditions.uid ?? uid) !== uid ||
      (preconditions.resourceVersion ?? resourceVersion) !== resourceVersion;
    if (isOther) throw failure("conflict/changed");
    return this.objects.delete(path);
  }

  #in(collection: string): MemoryObject[] {
    const isIn = (path: string) => path.slice(0, path.lastIndexOf("/")) === collection;
    return [...this.objects].filter(([path]) => isIn(path)).map(([, object]) => object);
  }

  #store(path: string, { metadata: { name, labels = {} }, ...rest }: Given, uid: string): MemoryObject {
    const metadata = { name, uid, labels, resourceVersion: String(++this.#versions) };
    const stored = withSortedKeys(structuredClone({ data: {}, ...rest, metadata })) as MemoryObject;
    this.objects.set(path, stored);
    return stored;
  }
}

/** The API server keeps the keys of maps sorted. */
function withSortedKeys(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withSortedKeys);
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).sort(([one], [other]) => one < other ? -1 : 1);
  return Object.fromEntries(entries.map(([key, one]) => [key, withSortedKeys(one)]));
}

async function checked<T>(value: unknown, schema: AnswerSchema<T>): Promise<T> {
  const result = await schema["~standard"].validate(structuredClone(value));
  if (result.issues === undefined) return result.value;
  throw failure("malformed/kubernetes-api");
}

function failure(code: ErrorCode): BootstrapError {
  return new BootstrapError(code, `The API server in memory says ${code}`);
}
