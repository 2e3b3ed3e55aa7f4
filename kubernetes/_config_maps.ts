import * as v from "valibot";
import type { DeletePreconditions, KubernetesApi } from "./api.ts";

/** The part of the API that ConfigMaps need. */
export type ConfigMapApi = Pick<KubernetesApi, "find" | "get" | "create" | "replace" | "remove">;

/** A ConfigMap as it is stored. */
export interface StoredConfigMap {
  /** `metadata.name`. */
  readonly name: string;
  /** `metadata.uid`. A recreated object has another one. */
  readonly uid: string;
  /** `metadata.resourceVersion`. It changes with each update. */
  readonly resourceVersion: string;
  /** `data`. */
  readonly data: Readonly<Record<string, string>>;
}

const configMapSchema = v.object({
  metadata: v.object({ name: v.string(), uid: v.string(), resourceVersion: v.string() }),
  data: v.optional(v.record(v.string(), v.string()), {}),
});

const listSchema = v.object({
  metadata: v.object({ continue: v.optional(v.string(), "") }),
  items: v.array(configMapSchema),
});

/** The page size of lists. It keeps an answer far below its size limit. */
const LIST_PAGE = 500;

function stored({ metadata, data }: v.InferOutput<typeof configMapSchema>): StoredConfigMap {
  return { name: metadata.name, uid: metadata.uid, resourceVersion: metadata.resourceVersion, data };
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

  /** Returns all ConfigMaps, in the order of their names. */
  async list(): Promise<StoredConfigMap[]> {
    const found: StoredConfigMap[] = [];
    let next = "";
    do {
      const query = `?limit=${LIST_PAGE}&continue=${encodeURIComponent(next)}`;
      const page = await this.#api.get(this.#path + query, listSchema);
      found.push(...page.items.map(stored));
      next = page.metadata.continue;
    } while (next !== "");
    return found;
  }

  /** Creates a ConfigMap. Throws `conflict/already-exists` if the name is taken. */
  async create(name: string, data: Readonly<Record<string, string>>): Promise<StoredConfigMap> {
    return stored(await this.#api.create(this.#path, { metadata: { name }, data }, configMapSchema));
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
