import * as v from "valibot";
import { present } from "../platform/present.ts";
import { listItems, metadataSchema, type ObjectApi, type StoredVersion } from "./_api_objects.ts";
import type { DeletePreconditions } from "./api.ts";

/** The part of the API that ConfigMaps need. */
export type ConfigMapApi = Omit<ObjectApi, "apply">;

/** A ConfigMap as it is stored. */
export interface StoredConfigMap extends StoredVersion {
  /** `data`. */
  readonly data: Readonly<Record<string, string>>;
}

const configMapSchema = v.object({
  metadata: metadataSchema,
  data: v.optional(v.record(v.string(), v.string()), {}),
});

function stored({ metadata, data }: v.InferOutput<typeof configMapSchema>): StoredConfigMap {
  return { ...metadata, data };
}

/** The ConfigMaps of one namespace. */
export class ConfigMaps {
  readonly #api: ConfigMapApi;
  readonly #path: string;

  /** Sends nothing yet. */
  constructor(api: ConfigMapApi, namespace: string) {
    this.#api = api;
    this.#path = `/api/v1/namespaces/${namespace}/configmaps`;
  }

  /** Returns the ConfigMap of that name, or `undefined`. */
  async find(name: string): Promise<StoredConfigMap | undefined> {
    const found = await this.#api.find(`${this.#path}/${name}`, configMapSchema);
    return found && stored(found);
  }

  /**
   * Returns all ConfigMaps, in the order of their names.
   *
   * @param label Only those that have this label with the value `true`.
   */
  async list(label?: string): Promise<StoredConfigMap[]> {
    const selector = label === undefined ? "" : `labelSelector=${encodeURIComponent(`${label}=true`)}`;
    return (await listItems(this.#api, this.#path, configMapSchema, selector)).map(stored);
  }

  /** Creates a ConfigMap. Throws `conflict/already-exists` if the name is taken. */
  async create(
    name: string,
    data: Readonly<Record<string, string>>,
    labels?: Readonly<Record<string, string>>,
  ): Promise<StoredConfigMap> {
    const metadata = { name, ...present("labels", labels) };
    return stored(await this.#api.create(this.#path, { metadata, data }, configMapSchema));
  }

  /** Replaces the data of exactly this version. Throws `conflict/changed` if it is no longer the current version. */
  async update(current: StoredConfigMap, data: Readonly<Record<string, string>>): Promise<StoredConfigMap> {
    const { name, uid, resourceVersion } = current;
    const metadata = { name, uid, resourceVersion };
    return stored(await this.#api.replace(`${this.#path}/${name}`, { metadata, data }, configMapSchema));
  }

  /** Deletes only the object that the preconditions name. Throws `conflict/changed` if it is another. */
  remove(name: string, preconditions: DeletePreconditions): Promise<boolean> {
    return this.#api.remove(`${this.#path}/${name}`, preconditions);
  }
}
