import { BootstrapError, type ErrorCode } from "../../platform/errors.ts";
import type { AnswerSchema, DeletePreconditions } from "../api.ts";
import type { ConfigMapApi } from "../_config_maps.ts";

/** A ConfigMap in memory. */
export interface MemoryConfigMap {
  /** The metadata, as the API server keeps it. */
  readonly metadata: {
    readonly name: string;
    readonly uid: string;
    readonly resourceVersion: string;
    readonly labels: Readonly<Record<string, string>>;
  };
  readonly data: Readonly<Record<string, string>>;
}

interface Given {
  readonly metadata: { readonly name: string; readonly uid?: string; readonly resourceVersion?: string } & {
    readonly labels?: Readonly<Record<string, string>>;
  };
  readonly data: Readonly<Record<string, string>>;
}

const COLLECTION = "/api/v1/namespaces/bootstrapper-system/configmaps";

/** An API server for ConfigMaps in memory, for tests. It has versions, UIDs and labels like the real one. */
export class MemoryConfigMaps implements ConfigMapApi {
  /** The stored objects, by name. */
  readonly stored = new Map<string, MemoryConfigMap>();
  /** Called with the method before each change. A test may make a change itself, or throw. */
  onChange: (method: "create" | "replace" | "remove") => void = () => {};
  #versions = 0;

  /** Returns the object at a path. */
  async find<T>(path: string, schema: AnswerSchema<T>): Promise<T | undefined> {
    const found = this.stored.get(nameIn(path));
    return found && await checked(found, schema);
  }

  /** Returns the list at a path: all of it, or the objects with a label. */
  get<T>(path: string, schema: AnswerSchema<T>): Promise<T> {
    const [, label, value] = /\?labelSelector=([a-z-]+)%3D([a-z]+)$/.exec(path) ?? [];
    const items = [...this.stored.values()].filter(({ metadata }) =>
      label === undefined || metadata.labels[label] === value
    );
    return checked({ metadata: {}, items }, schema);
  }

  /** Creates an object. */
  create<T>(path: string, object: unknown, schema: AnswerSchema<T>): Promise<T> {
    this.onChange("create");
    const given = object as Given;
    if (path !== COLLECTION || this.stored.has(given.metadata.name)) throw failure("conflict/already-exists");
    return checked(this.#store(given, crypto.randomUUID()), schema);
  }

  /** Replaces an object. */
  replace<T>(path: string, object: unknown, schema: AnswerSchema<T>): Promise<T> {
    this.onChange("replace");
    const given = object as Given;
    const current = this.stored.get(nameIn(path));
    if (current === undefined) throw failure("precondition/not-found");
    const { uid, resourceVersion } = current.metadata;
    if (given.metadata.uid !== uid || given.metadata.resourceVersion !== resourceVersion) {
      throw failure("conflict/changed");
    }
    return checked(this.#store(given, uid), schema);
  }

  /** Deletes an object. */
  remove(path: string, preconditions: DeletePreconditions = {}): Promise<boolean> {
    this.onChange("remove");
    const current = this.stored.get(nameIn(path));
    if (current === undefined) return Promise.resolve(false);
    const { uid, resourceVersion } = current.metadata;
    const isOther = (preconditions.uid ?? uid) !== uid ||
      (preconditions.resourceVersion ?? resourceVersion) !== resourceVersion;
    if (isOther) throw failure("conflict/changed");
    return Promise.resolve(this.stored.delete(current.metadata.name));
  }

  #store({ metadata: { name, labels = {} }, data }: Given, uid: string): MemoryConfigMap {
    const map = { metadata: { name, uid, labels, resourceVersion: String(++this.#versions) }, data };
    this.stored.set(name, map);
    return map;
  }
}

function nameIn(path: string): string {
  return path.slice(COLLECTION.length + 1);
}

async function checked<T>(value: unknown, schema: AnswerSchema<T>): Promise<T> {
  const result = await schema["~standard"].validate(structuredClone(value));
  if (result.issues === undefined) return result.value;
  throw failure("malformed/kubernetes-api");
}

function failure(code: ErrorCode): BootstrapError {
  return new BootstrapError(code, `The API server in memory says ${code}`);
}
